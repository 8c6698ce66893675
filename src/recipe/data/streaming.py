"""Inputs that stay on disk: read when they are needed, a few batches ahead, and standardised as they are read.

Streaming depends on memory alone and never changes a result: a split in memory is `StreamedInputs.whole()`, so each
value has gone through the same operations. Nothing random happens here: the rows of each batch are drawn before.

The readers are threads, because waiting for the disk needs no separate process: they start in a millisecond at every
call, none is left over, and batches do not travel between processes.
"""

import io
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from recipe.errors import RecipeError

Job = TypeVar("Job")
Result = TypeVar("Result")

CHUNK = 2**20  # values in memory at once during a pass over a whole split
GAP = 2**14  # bytes between two rows that are read, too, because that is as fast as another call


class InputsFile:
    """Reads rows of the array in a .npy file with plain file reads.

    A memory map would end the process with SIGBUS where the file was truncated, and count every page it has touched as
    memory of the process. inputs: the file, opened as a memory map, of which only the header is used.
    """

    def __init__(self, inputs: np.ndarray):
        assert isinstance(inputs, np.memmap)
        assert inputs.filename is not None
        self.path, self.offset = Path(inputs.filename).absolute(), inputs.offset
        self.dtype, self.shape = inputs.dtype, inputs.shape
        self.row_bytes = math.prod(inputs.shape[1:]) * inputs.dtype.itemsize
        self.stamp = _stamp(os.stat(self.path))

    def __call__(self, rows: np.ndarray) -> Tensor:
        """(len(rows), ...) as stored; each row is read once, in the order of the file.

        Raises RecipeError where the file is missing, or has changed since it was opened.
        """
        if not len(rows):
            return torch.from_numpy(np.empty((0, *self.shape[1:]), self.dtype))
        listed, position = np.unique(rows, return_inverse=True)
        out = np.empty((len(listed), *self.shape[1:]), self.dtype)
        ends = np.flatnonzero(np.diff(listed) > max(1, GAP // max(1, self.row_bytes))) + 1
        try:
            with open(self.path, "rb", buffering=0) as file:
                if _stamp(os.fstat(file.fileno())) != self.stamp:
                    raise EOFError
                for a, b in pairwise((0, *ends.tolist(), len(listed))):
                    first, last = int(listed[a]), int(listed[b - 1]) + 1
                    out[a:b] = self._span(file, first, last)[listed[a:b] - first]
        except EOFError:
            raise RecipeError(
                f"{self._name} changed or was truncated while this stage was reading it. Run `dvc repro` again."
            ) from None
        except OSError as error:
            raise RecipeError(
                f"{self._name} can no longer be read ({error.strerror}), and its examples are too large for the "
                "memory that conf/runtime/local.yaml grants. Run `dvc repro` again."
            ) from None
        return torch.from_numpy(out if np.array_equal(listed, rows) else out[position])

    @property
    def _name(self) -> str:
        return os.path.relpath(self.path)

    def _span(self, file: io.FileIO, first: int, last: int) -> np.ndarray:
        """Rows first..last-1; raises EOFError where the file ends before them."""
        out = np.empty((last - first, *self.shape[1:]), self.dtype)
        left = out.reshape(-1).view(np.uint8).data
        file.seek(self.offset + first * self.row_bytes)
        while left:
            count = file.readinto(left)  # a single call may read less than it was given room for
            if not count:
                raise EOFError
            left = left[count:]
        return out


def _stamp(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


@dataclass(frozen=True)
class Standardization:
    """Turns stored values into the net's input: bytes as 0..1, standardised.

    top: 255 for bytes, else 1; a tensor, because CUDA rounds a division by a Python number differently.
    limits: (2, F) of the columns of a table, standardised: the least and the greatest training value, to which other
    values are clipped; a missing one becomes 0. A network has learned nothing about values beyond: two abalones of an
    impossible height in test raised the error of all 835 from 2.13 to 2.30 years. None of images.
    """

    top: Tensor
    mean: Tensor
    std: Tensor
    limits: Tensor | None

    def __call__(self, raw: Tensor) -> Tensor:
        """Changes `raw` in place where it is float already."""
        x = raw.float().div_(self.top).sub_(self.mean).div_(self.std)
        return x if self.limits is None else x.clamp_(*self.limits).nan_to_num_(nan=0.0)

    def to(self, device: str) -> "Standardization":
        limits = None if self.limits is None else self.limits.to(device)
        return Standardization(self.top.to(device), self.mean.to(device), self.std.to(device), limits)


class StreamedInputs:
    """The inputs of a split on disk, used like a Tensor (N, C, H, W) or (N, F) float32: x[i], len(x), x.split(n).

    Each gives Tensors on `device`. workers: threads that read ahead of `split` and `batches`; 0: none.
    """

    dtype = torch.float32

    def __init__(self, file: InputsFile, rows: np.ndarray, scale: Standardization, device: str, workers: int):
        self.file, self.rows, self.workers = file, rows, workers
        self.device, self.scale = torch.device(device), scale.to(device)
        self.shape = torch.Size((len(rows), *file.shape[1:]))
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: str) -> "StreamedInputs":
        return StreamedInputs(self.file, self.rows, self.scale, device, self.workers)

    def subset(self, which: Tensor) -> "StreamedInputs":
        """Only these inputs, by number."""
        return StreamedInputs(self.file, self.rows[which.numpy()], self.scale, str(self.device), self.workers)

    def size(self, dim: int) -> int:
        return self.shape[dim]

    def __getitem__(self, which: Any) -> Tensor:
        """which: a number, a slice, a list or an index tensor."""
        chosen = self.rows[which.cpu().numpy() if isinstance(which, Tensor) else which]
        x = self._finish(self._read(np.atleast_1d(chosen)))
        return x if np.ndim(chosen) else x[0]

    def split(self, count: int) -> Iterator[Tensor]:
        """All rows in order, `count` at a time."""
        return self._ahead(self.rows[at : at + count] for at in range(0, len(self), count))

    def batches(self, index: Tensor) -> Iterator[Tensor]:
        """The inputs of each step; index (steps, n) is on the CPU."""
        return self._ahead(self.rows[line] for line in index.numpy())

    def whole(self) -> Tensor:
        """All rows in memory."""
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
    """Rows per chunk of a pass over all rows."""
    return max(1, CHUNK // max(1, math.prod(shape[1:])))


def read_ahead(read: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    """read(job) for every job, in order, with `workers` threads that many jobs ahead. Ends with the first error."""
    if not workers:
        yield from map(read, jobs)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
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


def column_limits(file: InputsFile, rows: np.ndarray, workers: int) -> Tensor:
    """(2, F): the least and the greatest known value of each column; 0 where none is known."""
    low = torch.full(file.shape[1:], math.inf)
    high = -low
    for x in read_ahead(file, _chunks(file, rows), workers):
        low = low.minimum(x.nan_to_num(nan=math.inf).amin(0))
        high = high.maximum(x.nan_to_num(nan=-math.inf).amax(0))
    return torch.stack([low, high]).masked_fill(low > high, 0.0)


def _chunks(file: InputsFile, rows: np.ndarray) -> Iterator[np.ndarray]:
    size = rows_per_chunk(file.shape)
    return (rows[at : at + size] for at in range(0, len(rows), size))


def mean_and_std(file: InputsFile, rows: np.ndarray, features: bool, workers: int) -> tuple[Tensor, Tensor]:
    """(mean, standard deviation) of the stored values, float64, per channel (C,) or of a column's known values (F,).

    One pass: chunks are combined as in Chan, Golub, LeVeque 1983. The deviation of fewer than two values is 0.
    """
    count = mean = square = torch.zeros(file.shape[1], dtype=torch.float64)
    for raw in read_ahead(file, _chunks(file, rows), workers):
        x = raw.transpose(0, 1).flatten(1).double()
        missing = x.isnan() if features else torch.zeros(1, 1, dtype=torch.bool)
        n = x.shape[1] - missing.sum(1)
        centre = x.masked_fill_(missing, 0.0).sum(1) / n.clamp_min(1)
        spread = x.sub_(centre[:, None]).masked_fill_(missing, 0.0).square_().sum(1)
        shift, total = centre - mean, count + n
        square = square + spread + shift.square() * count * n / total.clamp_min(1)
        mean, count = mean + shift * n / total.clamp_min(1), total
    return mean, (square / (count - 1).clamp_min(1)).sqrt()
