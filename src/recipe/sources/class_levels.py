"""Decides which level of nested folders holds the classes: siteA/{cat,dog}, siteB/{cat,dog} hold cats and dogs."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from recipe.data.split_names import split_of
from recipe.sources.list_files import quote_some

NEARLY_ALL = 0.8  # share of the folders of a level, of their subfolders, and of the files
# a number or letter at the end that enumerates: site1, site-b, siteC, 2019
COUNTED = re.compile(r"[\W_]*(\d+|(?<![A-Za-z])[A-Za-z]|(?<=[a-z])[A-Z])$")


def doubt_level(folders: Sequence[str], files: Sequence[str]) -> str:
    """Why the first level may not hold the classes, and which level may; empty where there is no reason for doubt.

    folders, files: names below the root, or below a split. A level is in doubt where nearly all folders of the level
    above it hold the same subfolders, as sites, cameras or years do. Folders with different subfolders are ordinary.
    """
    shared = {level + 1: names for level in range(1, _depth(folders)) if (names := _shared(folders, files, level))}
    if not shared:
        return ""
    first = sorted({folder.split("/")[0] for folder in folders})
    uncounted = [level for level, names in shared.items() if not _counted(names)]
    level = max(uncounted or shared)
    likely, other = (level, 1) if uncounted or _counted(first) else (1, level)
    return (
        f"folders of level {level - 1} hold the same subfolders, {quote_some(shared[level])}; level 1 is "
        f"{quote_some(first)}. "
        f"The classes are most likely at level {likely}: set `classes_at: {likely}`, or else `classes_at: {other}`"
        f"{_splits_hint(first)}"
    )


def _splits_hint(names: Sequence[str]) -> str:
    """What to do where these may be splits, which `classes_at` would divide anew."""
    named = named_as_splits(names)
    return (
        f". If {quote_some(named)} are splits, rename them train, val and test: they become given splits then"
        if named
        else ""
    )


def named_as_splits(classes: Sequence[str]) -> list[str]:
    """The names that may be splits instead of classes: test, or seg_train where there is also seg_test.

    `train` or `valid` alone may be a class, of vehicles or of tickets.
    """
    words = {name: {split_of(word) for word in re.split(r"[\W_]+", name)} - {""} for name in classes}
    splits: set[str] = set().union(*words.values())
    several = len(splits) > 1 and "train" in splits
    return [name for name in classes if split_of(name) == "test" or (several and words[name])]


def _depth(folders: Sequence[str]) -> int:
    return max((folder.count("/") + 1 for folder in folders), default=0)


def _shared(folders: Sequence[str], files: Sequence[str], level: int) -> list[str]:
    """The subfolders that nearly all folders of this level have in common; none where they have not."""
    above: set[tuple[str, ...]] = set()
    inner: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for parts in (folder.split("/") for folder in folders):
        if len(parts) == level:
            above.add(tuple(parts))
        elif len(parts) == level + 1:
            inner[tuple(parts[:-1])].add(parts[-1])
    count = Counter(name for names in inner.values() for name in names)
    common = sorted(name for name, times in count.items() if times >= max(2, len(inner) / 2))
    deep = sum(file.count("/") > level for file in files)
    held = (
        len(common) > 1
        and len(inner) >= NEARLY_ALL * len(above)
        and sum(count[name] for name in common) >= NEARLY_ALL * sum(count.values())
        and deep >= NEARLY_ALL * len(files)
    )
    return common if held else []


def _counted(names: Sequence[str]) -> bool:
    """Whether the names enumerate something, as site1, site2 or 2019, 2020 do."""
    return len({COUNTED.sub("", name) for name in names}) == 1


def splits_inside(folders: Sequence[str]) -> bool:
    """Whether all folders inside the class folders are splits: cat/{train,val}, dog/{train,val}."""
    return splits_of([folder.split("/")[1] for folder in folders if folder.count("/") == 1])


def splits_of(names: Sequence[str]) -> bool:
    """Whether all names are splits, with train and another one among them."""
    splits = {split_of(name) for name in names}
    return "" not in splits and len(splits) > 1 and "train" in splits
