"""Which level of nested folders names the classes: siteA/{cat,dog}, siteB/{cat,dog} hold cats and dogs, not sites."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from recipe.data.split_names import split_of
from recipe.data.walk import some

NEARLY_ALL = 0.8  # of the folders of a level, of their subfolders, and of the files
# a number or a letter at the end that counts: site1, site-b, siteC, 2019
COUNTED = re.compile(r"[\W_]*(\d+|(?<![A-Za-z])[A-Za-z]|(?<=[a-z])[A-Z])$")


def doubt(folders: Sequence[str], files: Sequence[str]) -> str:
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
        f"folders of level {level - 1} hold the same subfolders, {some(shared[level])}; level 1 is {some(first)}. "
        f"The classes are most likely at level {likely}: set `classes_at: {likely}`, or else `classes_at: {other}`"
    )


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
