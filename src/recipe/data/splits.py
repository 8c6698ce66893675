"""Divides examples by the shares of their strata, groups whole, and writes the lists that every later stage reads."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recipe.data.groups import linked_groups
from recipe.data.split_names import NAMES
from recipe.errors import RecipeError
from recipe.files import read_csv, write_csv
from recipe.rng import key
from recipe.tasks.labels import LabelForm

COLUMNS = ["id", "row", "label"]
FOLD_COLUMNS = ["id", "fold"]


def shares(val: float, test: float, missing: Sequence[str] = ("val", "test")) -> dict[str, float]:
    """{split: its share} of the examples that are divided; empty where no split is `missing`.

    Raises RecipeError where a share is impossible.
    """
    requested = {name: share for name, share in (("val", val), ("test", test)) if name in missing}
    train = 1.0
    for share in requested.values():
        train -= share
    if not (train > 0 and all(share > 0 for share in requested.values())):
        given = " and ".join(f"{name} {share}" for name, share in requested.items())
        raise RecipeError(f"conf/split.yaml: {given} must be above 0, and their sum below 1.")
    return {"train": train, **requested} if requested else {}


def group_ids(examples: list[dict[str, Any]]) -> list[str]:
    """An id per example that must stay within one split: equal where examples share a duplicate group or a group of the
    source, directly or through others.
    """
    groups = [f"group {e['group']}" if e["group"] else f"copies {e['dup_group']}" for e in examples]
    copies = [f"copies {e['dup_group']}" for e in examples]
    id_of = linked_groups([*groups, *copies], zip(groups, copies, strict=True))
    return [id_of[name] for name in groups]


def assign(strata: Sequence[Sequence[int]], groups: Sequence[str], shares: dict[str, float], seed: int) -> list[str]:
    """A split name per example: each stratum is divided by `shares` (sum 1), and no group is divided.

    strata: of each example, such as its class, its labels or the quantile of its quantity. Groups are assigned, largest
    first and otherwise in an order drawn from `seed`, to the split that is furthest below its share in the strata of
    the group; a split that still lacks a stratum comes first where few groups with that stratum are left. Shares are of
    the groups of one size and above, so that every split has its share of groups of each size: patients of whom there
    are many pictures, or rows with many copies. The result does not depend on the order of the examples.
    """
    members = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    of_size: defaultdict[int, list[str]] = defaultdict(list)
    for group in sorted(members, key=lambda g: key(seed, "split", g)):
        of_size[len(members[group])].append(group)
    totals: Counter[int] = Counter()  # of the groups of this size and above
    have: Counter[tuple[str, int]] = Counter()  # {(split, stratum): examples}
    left = Counter(stratum for inside in members.values() for stratum in {s for i in inside for s in strata[i]})
    assigned = [""] * len(strata)
    for size in sorted(of_size, reverse=True):
        totals.update(stratum for group in of_size[size] for i in members[group] for stratum in strata[i])
        for group in of_size[size]:
            count = sorted(Counter(stratum for i in members[group] for stratum in strata[i]).items())
            needs = {name: _need(name, count, shares, totals, have, left) for name in shares}
            neediest = max(needs, key=needs.__getitem__)
            for index in members[group]:
                assigned[index] = neediest
            for stratum, n in count:
                have[neediest, stratum] += n
                left[stratum] -= 1
    return assigned


def _need(
    name: str, count: list[tuple[int, int]], shares: dict[str, float], totals: Counter[int],
    have: Counter[tuple[str, int]], left: Counter[int],
) -> tuple[int, float]:  # fmt: skip
    """(strata of this group that the split would otherwise lack, examples below its share with half of the group).

    count: (stratum, examples) of the group. left: groups not yet assigned, by stratum.
    """
    lacking = 0
    for stratum, _ in count:
        others = sum(have[other, stratum] == 0 for other in shares)
        lacking += have[name, stratum] == 0 and left[stratum] <= others
    room = sum(n * (shares[name] * totals[c] - have[name, c] - n / 2) / totals[c] for c, n in count)
    return lacking, room


def write_split(splits: dict[str, list[dict[str, Any]]], task_names: Sequence[str], out: Path) -> None:
    """Writes train.csv, val.csv, test.csv, and classes.csv with the names of the classes, labels or quantities."""
    for name, rows in splits.items():
        write_csv(out / f"{name}.csv", [{k: row[k] for k in COLUMNS} for row in rows], COLUMNS)
    names = [{"label": label, "class": name} for label, name in enumerate(task_names)]
    write_csv(out / "classes.csv", names, ["label", "class"])


def write_folds(folds: Mapping[str, int | None], out: Path) -> None:
    """Writes folds.csv from {id: the fold that validates the example; None: it is in train in every fold}.

    Without folds it has its header alone.
    """
    rows = [{"id": name, "fold": "" if fold is None else fold} for name, fold in folds.items()]
    write_csv(out / "folds.csv", rows, FOLD_COLUMNS)


def read_folds(out: Path) -> list[tuple[str, int | None]]:
    """(id, fold) of each line that `write_folds` wrote."""
    return [(row["id"], int(row["fold"]) if row["fold"] else None) for row in read_csv(out / "folds.csv")]


def read_names(out: Path) -> list[str]:
    """The names of the task after the split, which leaves out classes without an example."""
    return [row["class"] for row in read_csv(out / "classes.csv")]


def read_split(out: Path, form: LabelForm) -> dict[str, list[dict[str, Any]]]:
    """The lists that `write_split` wrote, with row and label as it was given them."""
    return {
        name: [
            r | {"row": int(r["row"]), "label": form.stored(form.parsed(r["label"]))}
            for r in read_csv(out / f"{name}.csv")
        ]
        for name in NAMES
    }
