"""Decodes encoded image files of any kind in worker processes, so that no file can end the run.

A worker decodes one file after the other. Where its decoder crashes, takes too long or wants too much memory, the
worker ends, the file at hand gets that as its problem, and a new worker takes the next file; no file is tried twice.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from recipe.decode.metadata import PROBLEMS, unknown_metadata
from recipe.decode.value_range import PictureValues, ValueRange
from recipe.decode.worker import HEAD, WAIT
from recipe.errors import RecipeError

__all__ = ["PROBLEMS", "Decoded", "DecodingLimits", "decode"]
SOURCE = Path(__file__).resolve().parents[2]  # the folder that holds the package

EncodedFile = Path | str | bytes | tuple[str, bytes] | None


@dataclass(frozen=True)
class DecodingLimits:
    """What one file may cost. 50 million pixels took 0.5 (JPEG) to 4 CPU seconds (PNG with alpha) and up to 0.9 GB."""

    pixels: int = 50_000_000  # width * height in the header, before anything is decoded
    seconds: float = 30.0  # of CPU time; the limit of elapsed time is ten times as long
    memory: int = 4 << 30  # bytes of a worker's address space, 0.2 GB of which is Python; not enforced on macOS


@dataclass(frozen=True)
class Decoded:
    """The outcome for one file.

    file_metadata: a value for every name in metadata.FILE_METADATA. image: (H, W, C) with C = 1 or 3, upright; uint8,
    or float32 in 0..1 where the file has 16 bits or floats, or on a given value range; None exactly where there is a
    problem. problem: "" or a name in PROBLEMS. detail: a sentence on the problem, without a path of the machine.
    notes: conversions and oddities that close no gate. content: SHA-256 of the picture on the range of its type.
    picture_values: where its stored values lie.
    """

    file_metadata: dict[str, Any]
    image: np.ndarray | None
    problem: str
    detail: str
    notes: tuple[str, ...]
    content: str = ""
    picture_values: PictureValues | None = None


def decode(
    files: Iterable[EncodedFile], limits: DecodingLimits | None = None, workers: int = 1,
    value_range: ValueRange | None = None,
) -> Iterator[Decoded]:  # fmt: skip
    """One Decoded per file, in the order given, while `files` is read: at most `workers` + 1 pictures are in memory.

    A file is a path, its bytes, or (name, bytes) where bytes have a name to compare with their content, as in a parquet
    file; without a name `format_by_name` is empty and no note is made of it. None is an empty cell of such a file. The
    result depends on bytes and name alone, except for the problems "too slow", "out of memory" and "decoder crashed".
    value_range: the stored values that become 0..1; None: the range of the files' type. Raises RecipeError where a
    worker cannot start.
    """
    limits = limits or DecodingLimits()
    idle: deque[_Worker] = deque()
    busy: deque[_Worker] = deque()  # in the order of the files
    try:
        for file in files:
            decoded = _next_result(busy, idle) if len(busy) == workers else None
            busy.append(idle.popleft() if idle else _Worker(limits, value_range))
            busy[-1].send(file)
            if decoded:
                yield decoded
        while busy:
            yield _next_result(busy, idle)
    finally:
        for worker in (*idle, *busy):
            worker.close()


def _next_result(busy: "deque[_Worker]", idle: "deque[_Worker]") -> Decoded:
    """The result of the worker whose turn it is; the worker becomes idle, or is closed where it has ended."""
    decoded = busy[0].result()
    worker = busy.popleft()
    if worker.process.poll() is None:
        idle.append(worker)
    else:
        worker.close()
    return decoded


class _Worker:
    """A process that decodes one file at a time; recipe.decode.worker documents what is sent to it and received."""

    def __init__(self, limits: DecodingLimits, value_range: ValueRange | None):
        arguments = asdict(limits) | {"value_range": [value_range.low, value_range.high] if value_range else None}
        # -P: the current folder, which may hold a numpy.py, is not searched for modules
        command = [sys.executable, "-P", "-m", "recipe.decode.worker", json.dumps(arguments)]
        paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self.limits = limits
        self.name: bytes | None = None  # of the file at hand
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.requests, self.answers = cast(IO[bytes], self.process.stdin), cast(Any, self.process.stdout)
        if self._receive() is None:
            self.close()
            raise RecipeError(
                "The program that decodes images did not start; its last words are above. Limits.memory must hold "
                f"Python, 0.2 GB, and the picture. By hand: python {' '.join(command[1:-1])} '{command[-1]}'"
            )

    def send(self, file: EncodedFile) -> None:
        name: Path | str | None
        content: bytes | None
        if isinstance(file, tuple):
            name, content = file
        else:
            name, content = (None, file) if isinstance(file, bytes) else (file, None)
        self.name = None if name is None else _encoded(name)
        with contextlib.suppress(BrokenPipeError):  # the process has ended; `result` says how
            self.requests.write(HEAD.pack(*(-1 if part is None else len(part) for part in (self.name, content))))
            self.requests.write(self.name or b"")
            self.requests.write(content or b"")
            self.requests.flush()

    def result(self) -> Decoded:
        received = self._receive()
        if received is None:
            return _ended(self.process.wait(), self.name, self.limits)
        answer, pixels = received
        image = pixels.view(answer["dtype"]).reshape(answer["shape"]) if "shape" in answer else None
        return Decoded(
            file_metadata=answer["file_metadata"],
            image=image,
            problem=answer["problem"],
            detail=answer["detail"],
            notes=tuple(answer["notes"]),
            content=answer["content"],
            picture_values=PictureValues(*answer["picture_values"]) if image is not None else None,
        )

    def _receive(self) -> tuple[dict[str, Any], np.ndarray] | None:
        """(the JSON object, the bytes behind it); None where the process ended before its answer was complete."""
        head = self.answers.read(HEAD.size)
        if len(head) < HEAD.size:
            return None
        length, size = HEAD.unpack(head)
        text, pixels = self.answers.read(length), np.empty(size, np.uint8)
        if len(text) < length or self.answers.readinto(pixels) < size:
            return None
        return json.loads(text), pixels

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.requests, self.answers):
            with contextlib.suppress(BrokenPipeError):  # what was not sent yet has no reader
                pipe.close()


def _encoded(name: Path | str) -> bytes:
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:  # half a character: no file has such a name
        return str(name).encode("utf-8", "replace")


def _ended(code: int, name: bytes | None, limits: DecodingLimits) -> Decoded:
    """The result of the file that a worker had at hand when its process ended with this code."""
    if -code == signal.SIGPROF:
        problem, detail = "too slow", f"Decoding was stopped after {limits.seconds:g} CPU seconds."
    elif -code == signal.SIGALRM:
        problem = "too slow"
        detail = f"Decoding was stopped after {WAIT * limits.seconds:g} seconds, most of which it had waited."
    else:
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        problem, detail = "decoder crashed", f"The decoder's process ended by {how}."
    metadata = unknown_metadata(os.path.basename(os.fsdecode(name or b"")))
    return Decoded(metadata, image=None, problem=problem, detail=detail, notes=())
