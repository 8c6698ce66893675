"""Rows that speak of files, joined to the files by name; every one that finds no partner is reported."""

from collections import defaultdict
from collections.abc import Sequence

from recipe.data.problems import CONTRADICTION, NO_FILE, NO_ROW, ODD_NAME, Problem, shown


def join(
    wanted: Sequence[str], places: Sequence[str], names: Sequence[str], what: str
) -> tuple[list[int | None], list[Problem]]:
    """(the row of `wanted` for each of `names`, None where there is none; problems).

    wanted: a file's name per row, its path below the root or its last part, where that names one file. places: where
    each row stands. what: the file the rows come from. A name in another case than the file's is taken, and reported.
    """
    ways = [_index(names, key) for key in (str, _last, str.casefold, lambda name: _last(name).casefold())]
    row_of: list[int | None] = [None] * len(names)
    problems = []
    for row, (name, place) in enumerate(zip(wanted, places, strict=True)):
        name = str(name or "").strip().replace("\\", "/").removeprefix("./")
        keys = (name, name, name.casefold(), name.casefold())
        found, way = next(((way[k], n) for n, (way, k) in enumerate(zip(ways, keys, strict=True)) if k in way), ([], 0))
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
            if way > 1:
                file = shown(names[found[0]])
                problems.append(Problem(ODD_NAME, place, f"`{shown(name)}` is the file `{file}` but for its case"))
    problems += [
        Problem(NO_ROW, shown(name), f"{what} has no row for this file", index)
        for index, (name, row) in enumerate(zip(names, row_of, strict=True))
        if row is None
    ]
    return row_of, problems


def _index(names: Sequence[str], key) -> dict[str, list[int]]:
    found = defaultdict(list)
    for index, name in enumerate(names):
        found[key(name)].append(index)
    return dict(found)


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]
