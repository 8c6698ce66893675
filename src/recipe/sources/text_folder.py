"""Texts in files, one each: root/<class>/*.txt, and every other form that a folder of images has."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recipe.errors import RecipeError
from recipe.inputs.read import TEXTS
from recipe.problems import UNREADABLE, BadExample
from recipe.sources.delimited_text import text_of
from recipe.sources.folder import FILE_COLUMN, Folder
from recipe.sources.targets import Column, TaskWord
from recipe.sources.text_layout import LONGEST, required_text

OF_IMAGES = {"fit", "window", "value_range", "annotations"}  # of a Folder
BYTES = 4  # a character of UTF-8 at most


class TextFolder:
    """encoding: of the files; null: UTF-8, UTF-16 with its mark, or cp1252. All else: as in Folder."""

    kind = TEXTS.name
    paths: list[Path]
    targets: list

    def __init__(
        self, root: str, encoding: str | None = None, group: str | None = None, split: str | None = None,
        classes_at: int | None = None, table: str | None = None, file: Column = FILE_COLUMN,
        label: Column | None = None, target: Column | Sequence[Column] | None = None,
        labels: Sequence[Column] | Mapping[str, Any] | None = None, unit: str | None = None, task: TaskWord = "auto",
    ):  # fmt: skip
        files = Folder(
            root, size=1, group=group, split=split, classes_at=classes_at, table=table, file=file, label=label,
            target=target, labels=labels, unit=unit, task=task,
        )  # fmt: skip
        self.__dict__ |= {name: value for name, value in vars(files).items() if name not in OF_IMAGES}
        self.encoding = encoding

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int):
        path = self.paths[index]
        if path.suffix.lower() != ".txt":  # as `recipe predict` reads a folder
            raise BadExample(UNREADABLE, "not a .txt file")
        if (size := path.stat().st_size) > BYTES * LONGEST:
            raise BadExample(UNREADABLE, f"the file has {size:,} bytes; a text has {LONGEST:,} characters at most")
        try:
            text, _ = text_of(path, self.encoding)
        except RecipeError as error:
            raise BadExample(UNREADABLE, str(error)) from None
        return required_text(text), self.targets[index]
