"""The program that decodes image files for `recipe.decode.pool`, in a process that may crash.

    python -m recipe.decode.worker '{"pixels": 50000000, "seconds": 30, "memory": 3000000000}'

Reads requests from standard input and writes answers to standard output until the input ends. Request: two
little-endian int64, the lengths of name and content (-1: none; without content the name is a path), then both. Answer:
two int64, the lengths of a JSON object and of the pixels, then both. JSON and plain bytes, for what comes out of a
process that has read hostile files must not be able to run anything in ours.
"""

import json
import math
import os
import signal
import stat
import struct
import sys
import warnings

import numpy as np

from recipe.decode.image_file import BadFile, decode_file
from recipe.decode.value_range import ValueRange

WAIT = 10  # times the CPU seconds: how long a file may take on a slow disk or a machine with much else to do
HEAD = struct.Struct("<qq")


def read(path: bytes | None) -> bytes:
    """The content of a regular file; raises Refused. The path itself is in no message: it is the machine's."""
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


def main(pixels: int, seconds: float, memory: int, on: list[float] | None = None) -> None:
    """on: a person's range of stored values."""
    import resource

    import simplejpeg  # noqa: F401  now, so that a missing package is no verdict on a file
    from PIL import Image

    warnings.simplefilter("error", Image.DecompressionBombWarning)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; we end when our input does
    for timer in (signal.SIGPROF, signal.SIGALRM):  # they end the process, in the middle of a decoder's loop, too
        signal.signal(timer, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _answer(answers, {"ready": True}, b"")
    for quiet in (1, 2):  # what libraries print is not for the terminal
        os.dup2(os.open(os.devnull, os.O_WRONLY), quiet)
    while len(head := requests.read(HEAD.size)) == HEAD.size:
        lengths = HEAD.unpack(head)
        name, content = (requests.read(n) if n >= 0 else None for n in lengths)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, WAIT * seconds)
        answer, image = _verdict(name, content, pixels, ValueRange.of(on))
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _answer(answers, answer, b"" if image is None else memoryview(image).cast("B"))


def _verdict(
    name: bytes | None, content: bytes | None, pixels: int, on: ValueRange | None
) -> tuple[dict, np.ndarray | None]:
    called = None if name is None else os.path.basename(os.fsdecode(name))
    unread = None
    try:
        content = read(name) if content is None else content
    except BadFile as refused:
        unread, content = refused, b""
    except MemoryError:
        unread, content = BadFile("out of memory", "The file is larger than the limit of memory."), b""
    found = decode_file(content, called, pixels, on)
    if unread:
        found.facts |= {"file_bytes": math.nan, "file_sha256": ""}
        found.problem, found.detail = unread.args
    answer = {name: value for name, value in vars(found).items() if name != "image"}
    if found.image is not None:
        answer |= {"shape": found.image.shape, "dtype": found.image.dtype.name}
    return answer, found.image


def _answer(answers, answer: dict, image) -> None:
    text = json.dumps(answer).encode()
    answers.write(HEAD.pack(len(text), len(image)))
    answers.write(text)
    answers.write(image)
    answers.flush()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
