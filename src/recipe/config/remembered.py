"""Results that follow from the content of files, kept in .recipe/ so that the next process need not work them out."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from recipe.files import write_text


class Remembered:
    """{key: value as JSON has it} in a file of .recipe/; a key must hold all that its value follows from.

    version: of the code that works the values out. most: entries beyond which only those used in this process are
    kept. A file that is damaged, or of another version, is as good as none, and so is a folder that cannot be written.
    """

    def __init__(self, name: str, base: Path, *, version: str, most: int):
        self.file = Path(os.environ.get("DVC_ROOT") or base, ".recipe", name)  # also inside a temporary DVC experiment
        self.version, self.most, self.changed = version, most, False
        self.known: dict[str, Any] = {}
        self.used: set[str] = set()
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            content = json.loads(self.file.read_bytes())
            if content["version"] == version:
                self.known = dict(content["known"])

    def get(self, key: str) -> Any:
        """The value; None where it is not known."""
        self.used.add(key)
        return self.known.get(key)

    def add(self, key: str, value: Any) -> Any:
        self.known[key], self.changed = value, True
        return value

    def save(self) -> None:
        """Writes the file where something was added."""
        if not self.changed:
            return
        if len(self.known) > self.most:
            self.known = {key: value for key, value in self.known.items() if key in self.used}
        with contextlib.suppress(OSError):
            write_text(self.file, json.dumps({"version": self.version, "known": self.known}))
        self.changed = False
