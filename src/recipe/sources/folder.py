"""Folders of images as a source: a folder per class, or a table that says what is to be predicted."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recipe.data.images import fit_and_window
from recipe.data.split_names import refuse_unnamed, required, split_of
from recipe.decode.value_range import ValueRange
from recipe.errors import RecipeError
from recipe.problems import (
    CLASS_LEVEL,
    CONTRADICTION,
    NO_EXAMPLE,
    ODD_NAME,
    STRAY,
    Problem,
    odd_name,
    shown,
    spelling_problems,
)
from recipe.sources import coco
from recipe.sources.class_levels import doubt_level, named_as_splits, splits_inside, splits_of
from recipe.sources.file_names import folder_at, tables_hint, without_root
from recipe.sources.join_by_name import join_rows
from recipe.sources.label_encoding import label_order
from recipe.sources.list_files import list_files, quote_some
from recipe.sources.read_table import TableRows, read_rows
from recipe.sources.targets import Column, TaskWord, Words, read_targets

METADATA, FILE_COLUMN = "metadata.csv", "file_name"
SAME_AS_CLASS = ("label", "class")  # columns of metadata.csv that repeat the folder's name


class Folder:
    """root/<class>/... or root/{train,val,test}/<class>/...: every file below a class folder is an example.

    File names need no certain ending: a file that is not an image is reported when it is decoded. Folders inside a
    class folder are read, too. A split's folder becomes the column `given_split`. root/metadata.csv is optional: it has
    a column `file_name` (the path below root, or its last part) and any others, of which `group` names the column of
    groups and `split` the column of splits.

    classes_at: the level of folders that holds the classes, below a split's folder; the names of other levels become
    metadata, level_1 and so on. label, target, labels, unit, task (see recipe.sources.targets): columns of
    metadata.csv, or of `table`, in place of class folders. table: a csv, below root or with `../`, that is read in
    place of metadata.csv; its column `file` holds the name of each example, `label` its class where no word names
    another column. annotations: a COCO json below root, joined by its `file_name`. size, fit, channels: see
    recipe.data.images.Fit; store_size: recipe.data.images.fit_and_window. value_range: stored values of black and
    white, see recipe.decode.value_range.
    """

    def __init__(
        self, root: str, size: int | Sequence[int], fit: str = "crop", channels: int = 3,
        store_size: int | Sequence[int] | None = None,
        group: str | None = None, annotations: str | None = None, split: str | None = None,
        value_range: Sequence[float] | None = None,
        classes_at: int | None = None, table: str | None = None, file: Column = FILE_COLUMN,
        label: Column | None = None, target: Column | Sequence[Column] | None = None,
        labels: Sequence[Column] | Mapping[str, Any] | None = None, unit: str | None = None, task: TaskWord = "auto",
    ):  # fmt: skip
        self.value_range = ValueRange.of(value_range)
        (self.fit, self.window), self.root = fit_and_window(size, store_size, fit, channels), Path(root).expanduser()
        if not self.root.is_dir():
            raise RecipeError(f"{root} is not a folder. Put a folder per class there, or set `root` in conf/data/.")
        listing = list_files(self.root)
        self.problems: list[Problem] = listing.problems
        self.metadata: dict[str, list] = {}
        self.groups: list | None = None
        self.annotations: dict[str, list] = {}
        if isinstance(labels, str):
            raise RecipeError(f"`labels: {labels}` must be a list of columns; a csv is `table: {labels}`.")
        words = Words(label, target, labels, unit=unit, task=task)
        named = [word for word in ("label", "target", "labels") if getattr(words, word) is not None]
        if task in ("multilabel", "regression") and not (table or named):
            raise RecipeError(f"`task: {task}` needs the columns of {METADATA}: `target` or `labels`.")
        tables = {os.path.normpath(name) for name in (table or METADATA, annotations) if name}
        files = [name for name, _ in listing.files if name not in tables]
        if (table or named) and classes_at:
            raise RecipeError(
                f"`classes_at` reads the classes from folders, `{'table' if table else named[0]}` reads them from a "
                "table: set only one."
            )
        if table or named:
            self._label_by_rows(files, table or METADATA, file, words, group, split)
        else:
            self._label_by_folders(listing.folders, files, classes_at or 1)
            self._check_level(listing.folders, classes_at)
            self._join_metadata(group, split)
        self._report_names()
        if annotations:
            self._join_annotations(annotations)

    def __len__(self) -> int:
        return len(self.paths)

    def encoded(self, index: int) -> Path:
        return self.paths[index]

    # ---- classes and splits

    def _label_by_folders(self, folders: Sequence[str], files: Sequence[str], level: int) -> None:
        """Takes each file's class and split from the folders that hold it."""
        splits = self._splits(folders, tables_hint(files))
        above = level - 1 + (1 if splits else 0)  # folders above those of the classes
        self._report_empty(folders, files, above)
        kept = [name for name in files if name.count("/") > above]
        for name in (name for name in files if name.count("/") <= above):
            self._report(STRAY, name, "in no class folder")
        classes = [folder for folder in folders if folder.count("/") == above]
        if not kept and not classes:
            raise RecipeError(f"{self.root}: `classes_at: {level}` is set, but no folder is that deep.")
        if not kept:
            empty = quote_some([folder.split("/")[above] for folder in classes])
            raise RecipeError(f"{self.root}: its class folders {empty} are empty.")
        first: dict[str, str] = {}  # {class: its first folder}
        for folder in classes:
            first.setdefault(folder.split("/")[above], f"`{folder}`")
        names = sorted(first, key=label_order)
        inner = sorted({folder.split("/")[-1] for folder in folders if folder.count("/") == above + 1})
        if len(names) == 1 and len(inner) > 1 and not splits_of(inner):
            raise RecipeError(
                f"{self.root}: there is one class folder, `{shown(names[0])}`. If the folders in it are the classes, "
                f"{quote_some(inner)}, set `classes_at: {level + 1}`."
            )
        if len(names) == 1 and splits_of(inner):
            raise RecipeError(
                f"{self.root}: there is one folder, `{shown(names[0])}`, and it holds splits, {quote_some(inner)}. Set "
                f"`root: {shown(str(self.root / names[0]))}`."
            )
        if len(names) == 1 and (hint := tables_hint(files)):
            raise RecipeError(f"{self.root}: there is one class folder, `{shown(names[0])}`.{hint}")
        number = {name: index for index, name in enumerate(names)}
        self._take_names(kept)
        self.targets: list = [number[name.split("/")[above]] for name in kept]
        self.classes = [shown(name) for name in names]
        self.problems += spelling_problems({shown(name): shown(place) for name, place in first.items()})
        at = 0 if splits else 1 if level == 1 and splits_inside(folders) else None
        self.given_split = ["" if at is None else folder_at(name, at) for name in kept]

    def _label_by_rows(
        self, files: Sequence[str], table: str, file: Column, words: Words, group: str | None, split: str | None
    ) -> None:
        """Takes what each file is to be predicted as from its row of a table, as in many competitions of Kaggle."""
        rows = read_rows(self.root / table)
        known = set(files)
        listed = [name if name in known else without_root(name, self.root) for name in rows.column(file)]
        row_of, problems = join_rows(listed, rows.places, [shown(name) for name in files], rows.file)
        # a file without a row has no label, so it cannot be an example
        self.problems += rows.problems + [replace(problem, source=None) for problem in problems]
        kept = [(name, row) for name, row in zip(files, row_of, strict=True) if row is not None]
        if not kept:
            raise RecipeError(
                f"{self.root}: column `{shown(rows.name_of(file))}` of {table} names no file there. It begins with "
                f"{quote_some([str(name) for name in rows.column(file)[:2]])}, the files with {quote_some(files[:2])}."
            )
        places = [rows.places[row] for _, row in kept]
        of_files = {name: [cells[row] for _, row in kept] for name, cells in rows.columns.items()}
        predicted = read_targets(words, TableRows(rows.file, of_files, places))
        predicted.set_on(self)
        self._take_names([name for name, _ in kept])
        self.problems += predicted.problems
        parts = [folder_at(name, 0) for name in self.names]
        self.given_split = parts if splits_of(parts) else [""] * len(parts)
        used = (file, *predicted.columns)
        self._take_columns(rows, [row for _, row in kept], used, group, split, str(self.root / table))

    def _take_names(self, files: Sequence[str]) -> None:
        self.paths = [self.root / name for name in files]
        self.names = [shown(name) for name in files]

    def _check_level(self, folders: Sequence[str], chosen: int | None) -> None:
        """Reports where another level may hold the classes; where conf chose the level, the others become metadata."""
        inside = 1 if self._splits(folders) else 0
        if chosen is None:
            folders, files = (["/".join(n.split("/")[inside:]) for n in names] for names in (folders, self.names))
            why = doubt_level(sorted(set(folders) - {""}), files)
            if why and (inside or not any(self.given_split)):  # cat/{train,val} are splits, not classes
                self._report(CLASS_LEVEL, self.root.name, why)
            elif named := named_as_splits(self.classes):
                are = "is" if len(named) == 1 else "are"
                detail = (
                    f"{quote_some(named)}, named as splits are, {are} read as classes: if wrong, move what is of no "
                    "class away, and splits to root/{train,val,test}/<class>; if right, set `classes_at: 1`"
                )
                self._report(CLASS_LEVEL, self.root.name, detail)
            return
        for level in range(1, max(name.count("/") for name in self.names) + 1 - inside):
            if level != chosen:
                self.metadata[f"level_{level}"] = [folder_at(name, level - 1 + inside) for name in self.names]

    def _splits(self, folders: Sequence[str], hint: str = "") -> list[str]:
        """The folders of splits, where the root holds them instead of class folders. hint: added to the errors."""
        top = [folder for folder in folders if "/" not in folder]
        named = [folder for folder in top if split_of(folder)]
        splits = [folder for folder in named if any(other.startswith(f"{folder}/") for other in folders)]
        beside = [folder for folder in top if folder not in splits]
        if splits and beside:
            raise RecipeError(
                f"{self.root}: {quote_some(splits)} holds class folders, as a split does, and {quote_some(beside)} "
                "lies beside it. Either all are splits or all are classes: move one."
            )
        if named and named == top and not splits:
            raise RecipeError(
                f"{self.root}: {quote_some(named)} holds no class folders: make one folder per class in it.{hint}"
            )
        if not top:
            raise RecipeError(
                f"{self.root} holds no class folders: make one folder per class, named as the class.{hint}"
            )
        return splits

    def _report_empty(self, folders: Sequence[str], files: Sequence[str], above: int) -> None:
        """Reports classes without a file, and the topmost of the other folders without one."""
        full = {name.rsplit("/", n)[0] for name in files for n in range(1, name.count("/") + 1)}
        classes = {folder.split("/")[above] for folder in full if folder.count("/") >= above}
        for folder in folders:
            *outer, name = folder.split("/")
            if len(outer) == above:
                if name not in classes:
                    self._report(NO_EXAMPLE, folder, "this class folder holds no file")
            elif folder not in full and (not outer or "/".join(outer) in full):
                self._report(STRAY, folder, "an empty folder; is it the name of a file?")

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

    # ---- metadata and annotations

    def _join_metadata(self, group: str | None, split: str | None) -> None:
        if not (self.root / METADATA).is_file():
            if group in self.metadata:
                self.groups, group = self.metadata[group], None
            if named := [f"`{key}: {name}`" for key, name in (("group", group), ("split", split)) if name is not None]:
                raise RecipeError(f"{self.root}: {named[0]} names a column of {METADATA}, but there is no such file.")
            return
        rows = read_rows(self.root / METADATA)
        row_of, problems = join_rows(rows.column(FILE_COLUMN), rows.places, self.names, METADATA)
        self.problems += rows.problems + problems
        self._take_columns(rows, row_of, (FILE_COLUMN,), group, split, str(self.root / METADATA))
        for name in self.metadata:
            if name.casefold() in SAME_AS_CLASS and set(self.metadata[name]) & set(self.classes):
                for index, (value, row) in enumerate(zip(self.metadata[name], row_of, strict=True)):
                    given = self.classes[self.targets[index]]
                    if row is not None and value not in (None, "", given):
                        detail = f"its folder is {given}, {rows.places[row]} has {shown(value)}"
                        self.problems.append(Problem(CONTRADICTION, self.names[index], detail, index))

    def _take_columns(
        self, rows: TableRows, row_of: Sequence[int | None], used: Sequence[str | int], group: str | None,
        split: str | None, where: str,
    ) -> None:  # fmt: skip
        """Takes metadata, groups and given_split from the columns that are not `used` yet."""
        skipped = {rows.index, *(rows.name_of(name) for name in used)}
        joined = {
            name: [None if row is None else values[row] for row in row_of]
            for name, values in rows.columns.items()
            if name not in skipped
        }
        if group in self.metadata:
            self.groups = self.metadata[group]
        elif group is not None:
            self.groups = joined[rows.name_of(group)]
        self._take_splits(joined, split and rows.name_of(split), where)
        if twice := [name for name in joined if name in self.metadata]:
            raise RecipeError(f"{where}: the column `{twice[0]}` has the name of a level of folders: rename it.")
        self.metadata |= joined

    def _take_splits(self, joined: dict[str, list], split: str | None, where: str) -> None:
        """Takes the splits from a column of the metadata, where no folders give them."""
        by_folders = any(self.given_split)
        if split is not None and by_folders:
            raise RecipeError(f"{where}: `split: {split}` gives splits, and so do the folders: remove one of the two.")
        if split is not None:
            self.given_split = required(joined.pop(split), f"{where}, column `{shown(split)}`")
        elif not by_folders:
            refuse_unnamed(joined, where)

    def _join_annotations(self, file: str) -> None:
        annotations = coco.read_annotations(self.root / file)
        row_of, problems = join_rows(annotations.files, annotations.places, self.names, file)
        self.problems += annotations.problems + problems
        self.annotations = {
            name: [None if row is None else values[row] for row in row_of]
            for name, values in annotations.columns.items()
        }
