"""The exception for files that cannot be used, and the text of the errors behind it."""

import re


class BadFile(Exception):
    """The file cannot be used: (problem, detail)."""


def one_line(error: Exception) -> str:
    """An exception in one line, without the memory addresses that change with every run."""
    message = re.sub(r" ?<_io\.BytesIO object at 0x[0-9a-f]+>", "", str(error))
    return " ".join(message.split())[:200].rstrip(".") or type(error).__name__
