"""A process that takes part in a running search: `recipe worker` in a shell, or one that the tune stage starts."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, cast

from omegaconf import DictConfig, OmegaConf

from recipe.addresses import masking
from recipe.config.compose import home
from recipe.errors import RecipeError
from recipe.files import read_yaml
from recipe.stages.dependencies import code_and_data
from recipe.stages.splits import data_of
from recipe.stages.torch_setup import prepare_torch
from recipe.stages.tune.worker import open_search, take_part

END = "...\n"  # of a document in YAML


def run_worker(cfg: DictConfig) -> None:
    """Takes part in the search of this config of the tune stage until no trial is left.

    Raises NoSearch, a RecipeError, where there is none.
    """

    def say(text: str) -> None:
        print(f"worker     {text}", flush=True)

    device = prepare_torch(cfg)
    data = data_of(cfg, device, say, folds=True)
    accepted = cast(dict, read_yaml("runs/regularize/best.yaml"))
    search = open_search(cfg, data, accepted, code_and_data("tune", cfg), home(), say, create=False)
    try:
        count = take_part(search)
    finally:
        search.close()
    say(f"no trials are left; this worker finished {count}")


@contextlib.contextmanager
def worker_processes(cfg: DictConfig, say: Callable[[str], None]) -> Iterator[None]:
    """Inside the block, `runtime.processes` - 1 other processes take part. Each ends when no trial is left.

    A process reads the config from a pipe and ends when that is closed: whatever kills the stage, no process outlives
    it. One that dies is not a failure of the stage: the other workers take over its trials.
    """
    processes: list[subprocess.Popen] = []
    try:
        for _ in range(cfg.runtime.processes - 1):
            command = [sys.executable, "-m", "recipe.stages.tune.worker_process"]
            processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, text=True))
            with contextlib.suppress(BrokenPipeError):  # it has died already
                print(OmegaConf.to_yaml(cfg, resolve=True), end=END, file=processes[-1].stdin, flush=True)
        yield
        failed = sum(process.wait() != 0 for process in processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                cast(IO[str], process.stdin).close()
    if failed:
        say(f"{failed} of {len(processes)} worker processes failed; the others took over their trials")


def _main() -> int:
    lines = []
    for line in sys.stdin:
        if line == END:
            break
        lines.append(line)
    else:  # the stage died while it wrote
        return 1
    threading.Thread(target=_end_with_the_stage, daemon=True).start()
    try:
        run_worker(cast(DictConfig, OmegaConf.create("".join(lines))))
    except RecipeError as error:
        print(f"worker     {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _end_with_the_stage() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    with masking():
        sys.exit(_main())
