"""Joins the rows of a table to files by name; every row and file without a partner is reported."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from recipe.problems import CONTRADICTION, NO_FILE, NO_ROW, ODD_NAME, Problem, shown


def join_rows(
    listed: Sequence[str], places: Sequence[str], names: Sequence[str], table: str
) -> tuple[list[int | None], list[Problem]]:
    """(the row of `listed` for each of `names`, None where there is none; problems).

    listed: a file's name per row: its path below the root or its last part, with or without its ending, as long as that
    identifies one file. places: the place of each row in `table`. A name that differs from the file's in case is
    accepted, and reported.
    """
    ways = [(_index(names, key), same) for same in (_composed, _folded) for key in _keys(same)]
    row_of: list[int | None] = [None] * len(names)
    problems = []
    for row, (name, place) in enumerate(zip(listed, places, strict=True)):
        name = ("" if name is None else str(name)).strip().replace("\\", "/").removeprefix("./")
        matches, same = next(((way[same(name)], same) for way, same in ways if same(name) in way), ([], None))
        earlier = row_of[matches[0]] if matches else None
        if not matches:
            problems.append(Problem(NO_FILE, place, f"no file `{shown(name)}`" if name else "its file name is empty"))
        elif len(matches) > 1:
            files = ", ".join(f"`{shown(names[i])}`" for i in matches[:3])
            problems.append(Problem(NO_FILE, place, f"`{shown(name)}` may be {files}: give the path below the root"))
        elif earlier is not None:
            detail = f"`{shown(name)}` has a row already: {places[earlier]}"
            problems.append(Problem(CONTRADICTION, place, detail))
        else:
            row_of[matches[0]] = row
            if same is _folded:
                file = shown(names[matches[0]])
                problems.append(Problem(ODD_NAME, place, f"`{shown(name)}` is the file `{file}` except for its case"))
    problems += [
        Problem(NO_ROW, shown(name), f"{table} has no row for this file", index)
        for index, (name, row) in enumerate(zip(names, row_of, strict=True))
        if row is None
    ]
    return row_of, problems


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(name).casefold()


def _keys(same) -> list:
    """The ways in which a row may name a file."""
    return [
        same,
        lambda name: same(_last(name)),
        lambda name: same(os.path.splitext(name)[0]),
        lambda name: same(os.path.splitext(_last(name))[0]),
    ]


def _index(names: Sequence[str], key) -> dict[str, list[int]]:
    index_of = defaultdict(list)
    for index, name in enumerate(names):
        index_of[key(name)].append(index)
    return dict(index_of)


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]
