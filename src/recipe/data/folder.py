"""Folders of images as a source: one folder per class."""

import os
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from recipe.data import annotations
from recipe.data.images import Fit
from recipe.data.joining import join
from recipe.data.problems import CONTRADICTION, ODD_NAME, STRAY, UNREADABLE, Problem, odd_name, shown, spelt
from recipe.data.split_names import refuse_unnamed, required, split_of
from recipe.data.tabular import read_rows
from recipe.errors import RecipeError

HIDDEN = {"thumbs.db", "desktop.ini"}  # besides names with a dot at the start
METADATA, FILE_COLUMN = "metadata.csv", "file_name"
SAME_AS_CLASS = ("label", "class")  # columns of metadata.csv that repeat the folder's name


class Folder:
    """root/<class>/... or root/{train,val,test}/<class>/...: every file below a class folder is an example.

    Whatever its name ends in: what is no image is found when it is decoded, and listed. Folders inside a class folder
    are looked into. A split's folder becomes the column `given_split`. root/metadata.csv, where there is one, has a
    column `file_name` (the path below root, or the last part of it) and any others; `group` names the one of groups,
    `split` the one of splits.
    annotations: a COCO json below root, joined by its `file_name`. size, fit, channels: recipe.data.images.Fit.
    """

    def __init__(
        self, root: str, size: int | Sequence[int], fit: str = "crop", channels: int = 3,
        group: str | None = None, annotations: str | None = None, split: str | None = None,
    ):  # fmt: skip
        self.fit, self.root = Fit(size, fit, channels), Path(root).expanduser()
        if not self.root.is_dir():
            raise RecipeError(f"{root} is no folder. Put a folder per class there, or name another in conf/data/.")
        self.problems: list[Problem] = []
        read_otherwise = {METADATA, *([annotations] if annotations else [])}
        classes = self._class_folders(read_otherwise)
        found = [(folder, split, path) for folder, split in classes for path in files_below(folder, self._report)]
        if not found:
            raise RecipeError(f"{root}: its class folders {_some([f for f, _ in classes])} hold no file.")
        first = {}
        for folder, _ in classes:
            first.setdefault(folder.name, f"`{folder.relative_to(self.root)}`")
        self.classes = [shown(name) for name in sorted(first)]
        self.problems += spelt({shown(name): shown(place) for name, place in first.items()})
        number = {name: label for label, name in enumerate(sorted(first))}
        self.targets = [number[folder.name] for folder, _, _ in found]
        self.given_split = [split for _, split, _ in found]
        self.paths = [path for _, _, path in found]
        self.names = [shown(str(path.relative_to(self.root))) for path in self.paths]
        self._report_names()
        self.metadata, self.groups, self.annotations = {}, None, {}
        if (self.root / METADATA).is_file():
            self._join_metadata(group, split)
        elif named := [f"`{key}: {name}`" for key, name in (("group", group), ("split", split)) if name is not None]:
            raise RecipeError(f"{root}: {named[0]} names a column of {METADATA}, and there is no such file.")
        if annotations:
            self._join_annotations(annotations)

    def __len__(self) -> int:
        return len(self.paths)

    def encoded(self, index: int) -> Path:
        return self.paths[index]

    # ---- what is where

    def _class_folders(self, read_otherwise: set[str]) -> list[tuple[Path, str]]:
        """(class folder, split) of each, and a problem for everything that stands beside them."""
        top = self._folders(self.root, read_otherwise)
        named = [f for f in top if split_of(f.name)]
        splits = [f for f in named if any(inner.is_dir() for inner in f.iterdir())]
        beside = [f for f in top if f not in splits]
        if splits and beside:
            raise RecipeError(
                f"{self.root}: {_some(splits)} holds class folders, as a split does, and {_some(beside)} stands beside "
                "it. Either all are splits or all are classes: move one."
            )
        if named and named == top and not splits:
            raise RecipeError(f"{self.root}: {_some(named)} holds no class folders: make one folder per class in it.")
        if not top:
            raise RecipeError(f"{self.root} holds no class folders: make one folder per class, named as the class.")
        if splits:
            return [(folder, split.name) for split in splits for folder in self._folders(split, set())]
        return [(folder, "") for folder in top]

    def _folders(self, at: Path, read_otherwise: set[str]) -> list[Path]:
        """The folders in `at`, in order; hidden ones and files are reported."""
        found = []
        for path in sorted(at.iterdir()):
            if path.is_dir() and not _is_hidden(path.name):
                found.append(path)
            elif str(path.relative_to(self.root)) not in read_otherwise:
                self._report(STRAY, path, "hidden" if _is_hidden(path.name) else "in no class folder")
        return found

    def _report(self, kind: str, path: Path, detail: str) -> None:
        self.problems.append(Problem(kind, shown(str(path.relative_to(self.root))), detail))

    def _report_names(self) -> None:
        by_case = defaultdict(list)
        for index, path in enumerate(self.paths):
            name = str(path.relative_to(self.root))
            by_case[unicodedata.normalize("NFC", name).casefold()].append(index)
            if odd := odd_name(name):
                self.problems.append(Problem(ODD_NAME, self.names[index], odd, index))
        for first, *others in by_case.values():
            for index in others:
                detail = f"differs from `{self.names[first]}` in case or normal form; other systems hold one of them"
                self.problems.append(Problem(ODD_NAME, self.names[index], detail, index))

    # ---- what is said about them

    def _join_metadata(self, group: str | None, split: str | None) -> None:
        rows = read_rows(self.root / METADATA)
        row_of, problems = join(rows.column(FILE_COLUMN), rows.places, self.names, METADATA)
        self.problems += rows.problems + problems
        joined = {
            name: [None if row is None else values[row] for row in row_of]
            for name, values in rows.columns.items()
            if name != FILE_COLUMN
        }
        self.metadata = joined
        if group is not None:
            self.groups = joined[rows.named(group)]
        self._take_splits(joined, split and rows.named(split))
        for name in joined:
            if name.casefold() in SAME_AS_CLASS and set(joined[name]) & set(self.classes):
                for index, value in enumerate(joined[name]):
                    given = self.classes[self.targets[index]]
                    if value not in (None, "", given):
                        detail = f"its folder says {given}, {rows.places[row_of[index]]} says {shown(value)}"
                        self.problems.append(Problem(CONTRADICTION, self.names[index], detail, index))

    def _take_splits(self, joined: dict[str, list], split: str | None) -> None:
        """The splits that a column of the metadata gives, where no folders do."""
        where, by_folders = str(self.root / METADATA), any(self.given_split)
        if split is not None and by_folders:
            raise RecipeError(f"{where}: `split: {split}` gives splits, and so do the folders: remove one of the two.")
        if split is not None:
            self.given_split = required(joined.pop(split), f"{where}, column `{shown(split)}`")
        elif not by_folders:
            refuse_unnamed(joined, where)

    def _join_annotations(self, file: str) -> None:
        read = annotations.read(self.root / file)
        row_of, problems = join(read.files, read.places, self.names, file)
        self.problems += read.problems + problems
        self.annotations = {
            name: [None if row is None else values[row] for row in row_of] for name, values in read.columns.items()
        }


def files_below(folder: Path, report: Callable[[str, Path, str], None]) -> list[Path]:
    """Every file below a folder, in order; what is neither file nor folder, and hidden ones, are reported.

    report: (kind of problem, path, detail).
    """

    def failed(error: OSError) -> None:
        report(UNREADABLE, Path(error.filename), f"the folder cannot be read: {error.strerror}")

    files, seen = [], set()
    for at, inner, names in os.walk(folder, followlinks=True, onerror=failed):
        if os.path.realpath(at) in seen:  # a link to a folder above it
            inner.clear()
            continue
        seen.add(os.path.realpath(at))
        for name in [n for n in inner if _is_hidden(n)]:
            inner.remove(name)
            report(STRAY, Path(at, name), "hidden folder")
        inner.sort()
        if not inner and not names and Path(at) != folder:
            report(STRAY, Path(at), "an empty folder; is it a file's name?")
        for path in (Path(at, name) for name in sorted(names)):
            if _is_hidden(path.name):
                report(STRAY, path, "hidden")
            elif path.exists() and not stat.S_ISREG(path.stat().st_mode):
                report(UNREADABLE, path, "neither a file nor a folder")
            else:
                files.append(path)  # a link to nothing too: the decoder says so
    return files


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in HIDDEN


def _some(paths: Sequence[Path]) -> str:
    names = [f"`{shown(p.name)}`" for p in paths[:4]]
    return ", ".join(names) + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")
