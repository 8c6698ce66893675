"""Inputs that stay on disk: read when they are asked for, a few batches ahead, and standardised as they are read.

Whether a split streams is a matter of memory and never of results: a split in memory is `Rows.whole()`, so each value
has gone through the same operations. Nothing random happens here: which rows a batch has is drawn before.

The readers are threads. They wait for the disk, which needs no process of its own; they start in a millisecond, at
every call, so that none is left over; and batches do not travel between processes.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recipe.errors import RecipeError

CHUNK = 2**20  # values that a pass over a whole split holds at once
GAP = 2**14  # bytes between two rows that are read through: as fast as another call


class InputsFile:
    """Rows of the array in a .npy file, read by calls of their own.

    A memory map would end the process with SIGBUS where the file was cut, and count all it has touched as its memory.
    """

    def __init__(self, inputs: np.memmap):
        self.path, self.offset = Path(inputs.filename).absolute(), inputs.offset
        self.dtype, self.shape = inputs.dtype, inputs.shape
        self.row = math.prod(inputs.shape[1:]) * inputs.dtype.itemsize  # bytes
        self.stamp = _stamp(os.stat(self.path))

    def __call__(self, rows: np.ndarray) -> Tensor:
        """(len(rows), ...) as it is stored; each row is read once, in the order of the file.

        Raises RecipeError where the file is gone, or is no longer the one that was opened first.
        """
        listed, back = np.unique(rows, return_inverse=True)
        out = np.empty((len(listed), *self.shape[1:]), self.dtype)
        ends = np.flatnonzero(np.diff(listed) > max(1, GAP // max(1, self.row))) + 1
        try:
            with open(self.path, "rb", buffering=0) as file:
                if _stamp(os.fstat(file.fileno())) != self.stamp:
                    raise EOFError
                for a, b in pairwise((0, *ends.tolist(), len(listed))):
                    first, last = int(listed[a]), int(listed[b - 1]) + 1
                    out[a:b] = self._span(file.fileno(), first, last)[listed[a:b] - first]
        except EOFError:
            raise RecipeError(
                f"{self._name} changed or was cut while this stage was reading it. Run `dvc repro` again."
            ) from None
        except OSError as error:
            raise RecipeError(
                f"{self._name} can no longer be read ({error.strerror}), and its examples are too large for the "
                "memory that conf/runtime/local.yaml grants. Run `dvc repro` again."
            ) from None
        return torch.from_numpy(out if np.array_equal(listed, rows) else out[back])

    @property
    def _name(self) -> str:
        return os.path.relpath(self.path)

    def _span(self, file: int, first: int, last: int) -> np.ndarray:
        """Rows first..last-1."""
        out = np.empty((last - first, *self.shape[1:]), self.dtype)
        left, at = memoryview(out.reshape(-1).view(np.uint8)), self.offset + first * self.row
        while left:
            got = os.preadv(file, [left], at)
            if not got:
                raise EOFError
            left, at = left[got:], at + got
        return out


def _stamp(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


@dataclass(frozen=True)
class Standardization:
    """From what is stored to what enters the net: bytes as 0..1, standardised; a feature that is missing becomes 0.

    top: 255 of bytes, else 1; a tensor, for CUDA divides by a number with another rounding.
    """

    top: Tensor
    mean: Tensor
    std: Tensor
    features: bool

    def __call__(self, raw: Tensor) -> Tensor:
        """In place where `raw` is float already."""
        x = raw.float().div_(self.top).sub_(self.mean).div_(self.std)
        return x.nan_to_num_(nan=0.0) if self.features else x

    def to(self, device: str) -> "Standardization":
        return Standardization(self.top.to(device), self.mean.to(device), self.std.to(device), self.features)


class StreamedInputs:
    """A split's inputs on disk, where a Tensor (N, C, H, W) or (N, F) float32 is expected: x[i], len(x), x.split(n).

    What they give are Tensors on `device`. workers: threads that read ahead of `split` and `batches`; 0: none.
    """

    dtype = torch.float32

    def __init__(self, file: InputsFile, rows: np.ndarray, scale: Standardization, device: str, workers: int):
        self.file, self.rows, self.workers = file, rows, workers
        self.device, self.scale = torch.device(device), scale.to(device)
        self.shape = torch.Size((len(rows), *file.shape[1:]))
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def size(self, dim: int) -> int:
        return self.shape[dim]

    def __getitem__(self, which) -> Tensor:
        """which: a number, a slice, a list or an index tensor."""
        chosen = self.rows[which.cpu().numpy() if isinstance(which, Tensor) else which]
        x = self._finish(self._read(np.atleast_1d(chosen)))
        return x if np.ndim(chosen) else x[0]

    def split(self, count: int) -> Iterator[Tensor]:
        """All of it in order, `count` rows at a time."""
        return self._ahead(self.rows[at : at + count] for at in range(0, len(self), count))

    def batches(self, index: Tensor) -> Iterator[Tensor]:
        """The rows of each line of index (steps, n), which is on the CPU."""
        return self._ahead(self.rows[line] for line in index.numpy())

    def whole(self) -> Tensor:
        """All of it in memory."""
        x, at = torch.empty(self.shape, device=self.device), 0
        for part in self.split(rows_per_chunk(self.shape)):
            x[at : at + len(part)] = part
            at += len(part)
        return x

    def _ahead(self, lists: Iterable[np.ndarray]) -> Iterator[Tensor]:
        return map(self._finish, read_ahead(self._read, lists, self.workers))

    def _read(self, rows: np.ndarray) -> Tensor:
        raw = self.file(rows)
        return raw.pin_memory() if self.device.type == "cuda" else raw

    def _finish(self, raw: Tensor) -> Tensor:
        return self.scale(raw.to(self.device, non_blocking=True))


def rows_per_chunk(shape: tuple[int, ...]) -> int:
    """Rows of a chunk of a pass over everything."""
    return max(1, CHUNK // max(1, math.prod(shape[1:])))


def read_ahead(read: Callable, jobs: Iterable, workers: int) -> Iterator:
    """read(job) for every job, in their order; that many threads are so many jobs ahead. Ends with the first error."""
    if not workers:
        yield from map(read, jobs)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(read, job))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for unread in waiting:
                unread.cancel()


def batches(part, index: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(x, y) of each step: those of a Part's examples index (steps, n), which is on the CPU."""
    here = index.to(part.y.device)
    labels = part.y.index_select(0, here.flatten()).view(*here.shape, *part.y.shape[1:])  # six times as fast as y[here]
    if isinstance(part.x, StreamedInputs):
        return zip(part.x.batches(index), labels, strict=True)
    return zip((part.x.index_select(0, line) for line in here), labels, strict=True)


def mean_and_std(file: InputsFile, rows: np.ndarray, features: bool, workers: int) -> tuple[Tensor, Tensor]:
    """(mean, standard deviation) of what is stored, float64, of each channel (C,) or column's known values (F,).

    One pass: chunks are joined as in Chan, Golub, LeVeque 1983. The deviation of fewer than two values is 0.
    """
    count = mean = square = torch.zeros(file.shape[1], dtype=torch.float64)
    size = rows_per_chunk(file.shape)
    for raw in read_ahead(file, (rows[at : at + size] for at in range(0, len(rows), size)), workers):
        x = raw.transpose(0, 1).flatten(1).double()
        missing = x.isnan() if features else torch.zeros(1, 1, dtype=torch.bool)
        n = x.shape[1] - missing.sum(1)
        centre = x.masked_fill_(missing, 0.0).sum(1) / n.clamp_min(1)
        spread = x.sub_(centre[:, None]).masked_fill_(missing, 0.0).square_().sum(1)
        apart, total = centre - mean, count + n
        square = square + spread + apart.square() * count * n / total.clamp_min(1)
        mean, count = mean + apart * n / total.clamp_min(1), total
    return mean, (square / (count - 1).clamp_min(1)).sqrt()
