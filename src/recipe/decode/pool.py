"""Encoded image files of any kind as arrays, each with its facts and its verdict; no file can end the run.

Files are decoded in worker processes. A crash of a decoder, a file that takes too long, or one that wants too much
memory is the verdict of that file, and a new worker goes on with the next.
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

import numpy as np

from recipe.decode.metadata import FILE_METADATA, PROBLEMS, unknown
from recipe.decode.value_range import PictureValues, ValueRange
from recipe.decode.worker import HEAD, WAIT
from recipe.errors import RecipeError

__all__ = ["FILE_METADATA", "PROBLEMS", "Decoded", "DecodingLimits", "decode"]
SOURCE = Path(__file__).resolve().parents[2]  # the folder in which the package stands

File = Path | bytes | tuple[str, bytes] | None


@dataclass(frozen=True)
class DecodingLimits:
    """What one file may cost. 50 million pixels took 0.5 (JPEG) to 4 CPU seconds (PNG with alpha) and up to 0.9 GB."""

    pixels: int = 50_000_000  # width * height in the header, before anything is decoded
    seconds: float = 30.0  # of CPU; by the clock, ten times as long
    memory: int = 4 << 30  # bytes of address space of a worker, about 0.2 GB of which is Python


@dataclass(frozen=True)
class Decoded:
    """facts: a value for every name in FACTS. image: (H, W, C) with C = 1 or 3, upright; uint8, or float32 in 0..1
    where the file has 16 bits or floats, or on a person's range; None exactly where there is a problem. problem: "" or
    a name in PROBLEMS. detail: what was found, a sentence without a path of the machine. notes: conversions and
    oddities that close no gate. content: SHA-256 of the picture on the range of its type. picture_values: its stored
    values.
    """

    facts: dict
    image: np.ndarray | None
    problem: str
    detail: str
    notes: tuple[str, ...]
    content: str = ""
    picture_values: PictureValues | None = None


def decode(
    files: Iterable[File], limits: DecodingLimits = DecodingLimits(), workers: int = 1, on: ValueRange | None = None
) -> Iterator[Decoded]:
    """One Decoded per file, in the order given, while `files` is read: at most `workers` + 1 pictures are in memory.

    A file is a path, its bytes, or (name, bytes) where bytes have a name to compare with their content, as in a parquet
    file; without a name `format_by_name` is empty and no note is made of it. None is an empty cell of such a file. What
    is yielded depends on the bytes and the name alone, but for the problems "too slow", "out of memory" and "decoder
    crashed".
    on: the range of stored values that becomes 0..1; None: that of the files' type. Raises RecipeError where a worker
    cannot start.
    """
    idle, busy = deque(), deque()  # busy: (worker, name), in the order of the files
    try:
        for file in files:
            ready = None
            if len(busy) == workers:
                ready = _answer(*busy[0], limits)
                _rest(busy, idle)
            worker = idle.popleft() if idle else _start(limits, on)
            busy.append((worker, _ask(worker, file)))
            if ready:
                yield ready
        while busy:
            ready = _answer(*busy[0], limits)
            _rest(busy, idle)
            yield ready
    finally:
        for worker in (*idle, *(worker for worker, _ in busy)):
            _end(worker)


def _rest(busy: deque, idle: deque) -> None:
    """The worker whose turn it was waits for another file; one that has died is buried."""
    worker, _ = busy.popleft()
    if worker.poll() is None:
        idle.append(worker)
    else:
        _end(worker)


def _start(limits: DecodingLimits, on: ValueRange | None) -> subprocess.Popen:
    # -P: not the folder one happens to stand in, where a numpy.py may lie
    given = asdict(limits) | {"on": [on.low, on.high] if on else None}
    command = [sys.executable, "-P", "-m", "recipe.decode.worker", json.dumps(given)]
    paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    if _received(worker) is None:
        _end(worker)
        raise RecipeError(
            "The program that decodes images did not start; its last words are above. Limits.memory must hold Python, "
            f"0.2 GB, and the picture. By hand: python {' '.join(command[1:-1])} '{command[-1]}'"
        )
    return worker


def _ask(worker: subprocess.Popen, file: File) -> bytes | None:
    """Sends a file to a worker; the name sent, if any."""
    name, content = (None, file) if isinstance(file, bytes) else file if isinstance(file, tuple) else (file, None)
    name = None if name is None else _encoded(name)
    with contextlib.suppress(BrokenPipeError):  # it died; the answer says so
        worker.stdin.write(HEAD.pack(*(-1 if part is None else len(part) for part in (name, content))))
        worker.stdin.write(name or b"")
        worker.stdin.write(content or b"")
        worker.stdin.flush()
    return name


def _encoded(name: Path | str) -> bytes:
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:  # half a character: no file has such a name
        return str(name).encode("utf-8", "replace")


def _answer(worker: subprocess.Popen, name: bytes | None, limits: DecodingLimits) -> Decoded:
    received = _received(worker)
    if received is None:
        return _died(worker.wait(), name, limits)
    answer, pixels = received
    image = pixels.view(answer["dtype"]).reshape(answer["shape"]) if "shape" in answer else None
    return Decoded(
        answer["facts"], image, answer["problem"], answer["detail"], tuple(answer["notes"]), answer["content"],
        PictureValues(*answer["picture_values"]) if image is not None else None,
    )  # fmt: skip


def _received(worker: subprocess.Popen) -> tuple[dict, np.ndarray] | None:
    """(the JSON object, the bytes behind it); None where the worker ended before it had said all."""
    head = worker.stdout.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    words, size = HEAD.unpack(head)
    text, pixels = worker.stdout.read(words), np.empty(size, np.uint8)
    if len(text) < words or worker.stdout.readinto(pixels) < size:
        return None
    return json.loads(text), pixels


def _died(code: int, name: bytes | None, limits: DecodingLimits) -> Decoded:
    """The verdict of the file that a worker was at when it ended."""
    facts = unknown(os.path.basename(os.fsdecode(name or b"")))
    if -code == signal.SIGPROF:
        return Decoded(facts, None, "too slow", f"Decoding was stopped after {limits.seconds:g} CPU seconds.", ())
    if -code == signal.SIGALRM:
        clock = f"Decoding was stopped after {WAIT * limits.seconds:g} seconds, most of which it had waited."
        return Decoded(facts, None, "too slow", clock, ())
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return Decoded(facts, None, "decoder crashed", f"The decoder's process ended by {how}.", ())


def _end(worker: subprocess.Popen) -> None:
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        with contextlib.suppress(BrokenPipeError):  # what was not yet sent has no reader any more
            pipe.close()
