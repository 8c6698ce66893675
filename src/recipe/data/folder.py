"""Folders of images as a source: one folder per class."""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from recipe.data import annotations
from recipe.data.images import Fit
from recipe.data.joining import join
from recipe.data.problems import CONTRADICTION, NO_EXAMPLE, ODD_NAME, STRAY, Problem, odd_name, shown, spelt
from recipe.data.split_names import refuse_unnamed, required, split_of
from recipe.data.tabular import read_rows
from recipe.data.value_range import Range
from recipe.data.walk import some, walk
from recipe.errors import RecipeError

METADATA, FILE_COLUMN = "metadata.csv", "file_name"
SAME_AS_CLASS = ("label", "class")  # columns of metadata.csv that repeat the folder's name


class Folder:
    """root/<class>/... or root/{train,val,test}/<class>/...: every file below a class folder is an example.

    Whatever its name ends in: what is no image is found when it is decoded, and listed. Folders inside a class folder
    are looked into. A split's folder becomes the column `given_split`. root/metadata.csv, where there is one, has a
    column `file_name` (the path below root, or the last part of it) and any others; `group` names the one of groups,
    `split` the one of splits.
    annotations: a COCO json below root, joined by its `file_name`. size, fit, channels: recipe.data.images.Fit.
    value_range: stored values of black and white, recipe.data.value_range.
    """

    def __init__(
        self, root: str, size: int | Sequence[int], fit: str = "crop", channels: int = 3,
        group: str | None = None, annotations: str | None = None, split: str | None = None,
        value_range: Sequence[float] | None = None,
    ):  # fmt: skip
        self.value_range = Range.of(value_range)
        self.fit, self.root = Fit(size, fit, channels), Path(root).expanduser()
        if not self.root.is_dir():
            raise RecipeError(f"{root} is no folder. Put a folder per class there, or name another in conf/data/.")
        below = walk(self.root)
        self.problems = below.problems
        read_otherwise = {METADATA, *([annotations] if annotations else [])}
        names = [name for name, _ in below.files if name not in read_otherwise]
        names = self._label_by_folders(below.folders, names)
        self.paths = [self.root / name for name in names]
        self.names = [shown(name) for name in names]
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

    def _label_by_folders(self, folders: Sequence[str], files: Sequence[str]) -> list[str]:
        """classes, targets and given_split from the names of folders; gives the files that are examples."""
        splits = self._splits(folders)
        above = 1 if splits else 0
        self._report_empty(folders, files, above)
        kept = []
        for name in files:
            if name.count("/") > above:
                kept.append(name)
            else:
                self._report(STRAY, name, "in no class folder")
        classes = [folder for folder in folders if folder.count("/") == above]
        if not kept:
            raise RecipeError(
                f"{self.root}: its class folders {some([f.split('/')[-1] for f in classes])} hold no file."
            )
        first = {}
        for folder in classes:
            first.setdefault(folder.split("/")[above], f"`{folder}`")
        self.classes = [shown(name) for name in sorted(first)]
        self.problems += spelt({shown(name): shown(place) for name, place in first.items()})
        number = {name: label for label, name in enumerate(sorted(first))}
        self.targets = [number[name.split("/")[above]] for name in kept]
        self.given_split = [name.split("/")[0] if splits else "" for name in kept]
        return kept

    def _splits(self, folders: Sequence[str]) -> list[str]:
        """The folders of splits, where the root holds those instead of class folders."""
        top = [folder for folder in folders if "/" not in folder]
        named = [folder for folder in top if split_of(folder)]
        splits = [folder for folder in named if any(other.startswith(f"{folder}/") for other in folders)]
        beside = [folder for folder in top if folder not in splits]
        if splits and beside:
            raise RecipeError(
                f"{self.root}: {some(splits)} holds class folders, as a split does, and {some(beside)} stands beside "
                "it. Either all are splits or all are classes: move one."
            )
        if named and named == top and not splits:
            raise RecipeError(f"{self.root}: {some(named)} holds no class folders: make one folder per class in it.")
        if not top:
            raise RecipeError(f"{self.root} holds no class folders: make one folder per class, named as the class.")
        return splits

    def _report_empty(self, folders: Sequence[str], files: Sequence[str], above: int) -> None:
        """Classes without a file, and the topmost folder of those inside a class folder that hold none."""
        full = {name.rsplit("/", n)[0] for name in files for n in range(1, name.count("/") + 1)}
        classes = {folder.split("/")[above] for folder in full if folder.count("/") >= above}
        for folder in folders:
            *_, name = parts = folder.split("/")
            if len(parts) == above + 1 and name not in classes:
                self._report(NO_EXAMPLE, folder, "no file lies in this class folder")
            elif len(parts) > above + 1 and folder not in full and "/".join(parts[:-1]) in full:
                self._report(STRAY, folder, "an empty folder; is it a file's name?")

    def _report(self, kind: str, name: str, detail: str) -> None:
        self.problems.append(Problem(kind, shown(name), detail))

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
