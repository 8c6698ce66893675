"""The program that decodes image files for `recipe.decode.pool`, in a process that may crash.

    python -m recipe.decode.worker '{"pixels": 50000000, "seconds": 30, "memory": 3000000000}'

It reads requests from standard input and writes answers to standard output until the input ends. A request is two
little-endian int64, the lengths of name and content (-1: none; without content the name is a path), then both. An
answer is two int64, the lengths of a JSON object and of the pixels, then both. JSON and plain bytes are used because
what comes out of a process that has read hostile files must not be able to run code in the parent.
"""

import contextlib
import json
import math
import os
import signal
import stat
import struct
import sys
import warnings
from typing import IO, Any

import numpy as np

from recipe.decode.bad_file import BadFile
from recipe.decode.image_file import decode_file
from recipe.decode.value_range import ValueRange

WAIT = 10  # times the CPU seconds: how long a file may take on a slow disk or a machine with much else to do
HEAD = struct.Struct("<qq")


def read(path: bytes | None) -> bytes:
    """The content of a regular file; raises BadFile, whose message never holds the path, as it is the machine's."""
    if path is None:
        raise BadFile("missing", "The cell is empty: it holds no bytes of an image.")
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadFile("not a file", "The name is that of a folder, a pipe or a device.")
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        dangling = os.path.islink(path)
        raise BadFile("missing", "A link that points to nothing." if dangling else "No such file.") from None
    except OSError as error:
        raise BadFile("unreadable", f"The system says: {error.strerror}.") from None
    except ValueError:
        raise BadFile("missing", "No file can have this name: a zero byte is in it.") from None


def main(pixels: int, seconds: float, memory: int, value_range: list[float] | None = None) -> None:
    """value_range: the stored values of black and white that the user gave."""
    import simplejpeg  # noqa: F401 - here, so that a missing package ends the worker and is not a problem of a file
    from PIL import Image

    warnings.simplefilter("error", Image.DecompressionBombWarning)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C; the worker ends when its input does
    for timer in (signal.SIGPROF, signal.SIGALRM):  # they end the process, in the middle of a decoder's loop, too
        signal.signal(timer, signal.SIG_DFL)
    limit_resources(memory)
    _send(answers, {"ready": True}, b"")
    for stream in (1, 2):  # what libraries print is not for the terminal
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    while len(head := requests.read(HEAD.size)) == HEAD.size:
        lengths = HEAD.unpack(head)
        name, content = (requests.read(n) if n >= 0 else None for n in lengths)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, WAIT * seconds)
        answer, image = _decoded(name, content, pixels, ValueRange.of(value_range))
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(answers, answer, b"" if image is None else image.reshape(-1).view(np.uint8).data)


def limit_resources(memory: int) -> None:
    """Limits the process's address space to `memory` bytes, and writes no core file when it crashes.

    macOS has RLIMIT_AS but refuses or ignores it: there a file is limited by its pixels alone.
    """
    import resource

    for limit, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))


def _decoded(
    name: bytes | None, content: bytes | None, pixels: int, value_range: ValueRange | None
) -> tuple[dict[str, Any], np.ndarray | None]:
    """(the answer as JSON has it, the image)."""
    file_name = None if name is None else os.path.basename(os.fsdecode(name))
    unread = None
    try:
        content = read(name) if content is None else content
    except BadFile as error:
        unread, content = error, b""
    except MemoryError:
        unread, content = BadFile("out of memory", "The file is larger than the limit of memory."), b""
    result = decode_file(content, file_name, pixels, value_range)
    if unread:
        result.file_metadata |= {"file_bytes": math.nan, "file_sha256": ""}
        result.problem, result.detail = unread.args
    answer = {key: value for key, value in vars(result).items() if key != "image"}
    if result.image is not None:
        answer |= {"shape": result.image.shape, "dtype": result.image.dtype.name}
    return answer, result.image


def _send(answers: IO[bytes], answer: dict[str, Any], image: bytes | memoryview) -> None:
    text = json.dumps(answer).encode()
    answers.write(HEAD.pack(len(text), len(image)))
    answers.write(text)
    answers.write(image)
    answers.flush()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
