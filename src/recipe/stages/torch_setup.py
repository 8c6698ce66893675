"""How torch is set up for a stage: device, threads, deterministic kernels, memory."""

import contextlib
import ctypes
import os
import sys

from omegaconf import DictConfig

from recipe.errors import RecipeError

DETERMINISTIC = {"strict": "error", "warn": "warn", "off": "default"}  # torch's words for what conf/runtime says


def prepare_torch(cfg: DictConfig) -> str:
    """Sets up torch as conf/runtime says, so that a run can be repeated bit for bit; gives the device."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("TORCHINDUCTOR_DETERMINISTIC", "1")
    import torch  # heavy: stages without a model do not load it

    keep_freed_memory()
    torch.set_num_threads(cfg.runtime.threads)
    # with the variable above all that use_deterministic_algorithms does, which imports torch's compiler for it
    torch.set_deterministic_debug_mode(DETERMINISTIC[cfg.runtime.deterministic])
    torch.set_flush_denormal(True)
    device = str(cfg.runtime.device)
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise RecipeError(f"conf/runtime/local.yaml: device `{device}` cannot be used: {error}") from None
    return device


def keep_freed_memory() -> None:
    """glibc returns every large block at once and pays for fresh pages at each step: up to twice the time."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):  # a Linux without glibc
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no block outside the heap
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: none of the heap is returned
