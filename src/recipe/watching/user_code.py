"""The place in the user's code from which a hook was reached."""

import sys
from typing import Any

LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python3.", "/torch/", "/recipe/watching/")  # no user's code


def user_frame() -> tuple[str, int] | None:
    """(file, line) of the innermost code outside of libraries, or None."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not any(part in file for part in LIBRARIES) and not file.startswith("<"):
            return file, frame.f_lineno
        frame = frame.f_back
    return None


def user_line() -> str:
    """`train.py:41`, of `user_frame`."""
    frame = user_frame()
    return f"{frame[0].rsplit('/', 1)[-1]}:{frame[1]}" if frame else ""
