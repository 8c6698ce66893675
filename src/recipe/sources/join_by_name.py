"""Rows that speak of files, joined to the files by name; every one that finds no partner is reported."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from recipe.problems import CONTRADICTION, NO_FILE, NO_ROW, ODD_NAME, Problem, shown


def join_rows(
    wanted: Sequence[str], places: Sequence[str], names: Sequence[str], what: str
) -> tuple[list[int | None], list[Problem]]:
    """(the row of `wanted` for each of `names`, None where there is none; problems).

    wanted: a file's name per row, its path below the root or its last part, with or without its ending, where that
    names one file. places: where each row stands. what: the file the rows come from. A name in another case than the
    file's is taken, and reported.
    """
    ways = [(_index(names, key), same) for same in (_composed, _folded) for key in _keys(same)]
    row_of: list[int | None] = [None] * len(names)
    problems = []
    for row, (name, place) in enumerate(zip(wanted, places, strict=True)):
        name = ("" if name is None else str(name)).strip().replace("\\", "/").removeprefix("./")
        found, same = next(((way[same(name)], same) for way, same in ways if same(name) in way), ([], None))
        if not found:
            problems.append(Problem(NO_FILE, place, f"no file `{shown(name)}`" if name else "its file name is empty"))
        elif len(found) > 1:
            files = ", ".join(f"`{shown(names[i])}`" for i in found[:3])
            problems.append(Problem(NO_FILE, place, f"`{shown(name)}` may be {files}: give the path below the root"))
        elif row_of[found[0]] is not None:
            other = places[row_of[found[0]]]
            problems.append(Problem(CONTRADICTION, place, f"`{shown(name)}` has a row already: {other}"))
        else:
            row_of[found[0]] = row
            if same is _folded:
                file = shown(names[found[0]])
                problems.append(Problem(ODD_NAME, place, f"`{shown(name)}` is the file `{file}` but for its case"))
    problems += [
        Problem(NO_ROW, shown(name), f"{what} has no row for this file", index)
        for index, (name, row) in enumerate(zip(names, row_of, strict=True))
        if row is None
    ]
    return row_of, problems


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(name).casefold()


def _keys(same) -> list:
    """Of a file's name: what a row may call it."""
    return [
        same,
        lambda name: same(_last(name)),
        lambda name: same(os.path.splitext(name)[0]),
        lambda name: same(os.path.splitext(_last(name))[0]),
    ]


def _index(names: Sequence[str], key) -> dict[str, list[int]]:
    found = defaultdict(list)
    for index, name in enumerate(names):
        found[key(name)].append(index)
    return dict(found)


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]
