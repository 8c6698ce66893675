"""Which level of nested folders names the classes: siteA/{cat,dog}, siteB/{cat,dog} hold cats and dogs, not sites."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from recipe.data.split_names import split_of
from recipe.sources.list_files import quote_some

NEARLY_ALL = 0.8  # of the folders of a level, of their subfolders, and of the files
# a number or a letter at the end that counts: site1, site-b, siteC, 2019
COUNTED = re.compile(r"[\W_]*(\d+|(?<![A-Za-z])[A-Za-z]|(?<=[a-z])[A-Z])$")


def doubt_level(folders: Sequence[str], files: Sequence[str]) -> str:
    """Why the first level may not be the one of the classes, and which is; empty where nothing speaks against it.

    folders, files: names below the root, or below a split. A level is in doubt where nearly all folders of the one
    above it hold the same subfolders, as sites, cameras or years do. Folders that each hold others of their own are
    ordinary.
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
    """What to do where these may be splits: with `classes_at` they would be divided."""
    named = named_as_splits(names)
    return (
        f". If {quote_some(named)} are splits, rename them train, val and test: they are obeyed then" if named else ""
    )


def named_as_splits(classes: Sequence[str]) -> list[str]:
    """Those that may be no classes: test, or seg_train where there is also seg_test.

    `train` or `valid` alone may be classes, of vehicles and of tickets.
    """
    words = {name: {split_of(word) for word in re.split(r"[\W_]+", name)} - {""} for name in classes}
    splits = set().union(*words.values())
    several = len(splits) > 1 and "train" in splits
    return [name for name in classes if split_of(name) == "test" or (several and words[name])]


def _depth(folders: Sequence[str]) -> int:
    return max((folder.count("/") + 1 for folder in folders), default=0)


def _shared(folders: Sequence[str], files: Sequence[str], level: int) -> list[str]:
    """The names of the subfolders that nearly all folders of this level have in common; none where they do not."""
    above, inner = set(), defaultdict(set)
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
    """Whether the names count something, as site1, site2 or 2019, 2020 do."""
    return len({COUNTED.sub("", name) for name in names}) == 1


def splits_inside(folders: Sequence[str]) -> bool:
    """Whether the class folders hold folders of splits and no others: cat/{train,val}, dog/{train,val}."""
    return splits_of([folder.split("/")[1] for folder in folders if folder.count("/") == 1])


def splits_of(names: Sequence[str]) -> bool:
    """Whether all of these name splits, train and another one."""
    splits = {split_of(name) for name in names}
    return "" not in splits and len(splits) > 1 and "train" in splits
