"""What stays together, how examples are divided by class shares, and the lists of them that every later stage reads."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from recipe.data.groups import linked_groups
from recipe.data.split_names import NAMES
from recipe.errors import RecipeError
from recipe.files import read_csv, write_csv
from recipe.rng import key

COLUMNS = ["id", "row", "label"]


def shares(val: float, test: float, missing: Sequence[str] = ("val", "test")) -> dict[str, float]:
    """{split: its share} of the examples that are divided; empty where no split is `missing`.

    Raises RecipeError where a share is impossible.
    """
    asked = {name: share for name, share in (("val", val), ("test", test)) if name in missing}
    train = 1.0
    for share in asked.values():
        train -= share
    if not (train > 0 and all(share > 0 for share in asked.values())):
        told = " and ".join(f"{name} {share}" for name, share in asked.items())
        raise RecipeError(f"conf/split.yaml: {told} must be above 0, and their sum below 1.")
    return {"train": train, **asked} if asked else {}


def group_ids(examples: list[dict]) -> list[str]:
    """A name per example, the same for two that share a duplicate group or a group of the source, or are so linked."""
    own = [f"group {e['group']}" if e["group"] else f"copies {e['dup_group']}" for e in examples]
    copies = [f"copies {e['dup_group']}" for e in examples]
    top = linked_groups([*own, *copies], zip(own, copies, strict=True))
    return [top[name] for name in own]


def assign(labels: Sequence[int], groups: Sequence[str], shares: dict[str, float], seed: int) -> list[str]:
    """A split name per example: each class by `shares` (sum 1), each group whole.

    Groups are dealt, largest first and otherwise in an order drawn from `seed`, to the split that is furthest below its
    share in the classes of the group; one that still lacks a class comes first where few groups of it are left. It does
    not depend on the order of the examples.
    """
    members = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    totals, have = Counter(labels), Counter()
    left = Counter(label for inside in members.values() for label in {labels[i] for i in inside})
    given = [""] * len(labels)
    for group in sorted(members, key=lambda g: (-len(members[g]), key(seed, "split", g))):
        count = sorted(Counter(labels[i] for i in members[group]).items())
        best = max(shares, key=lambda name, count=count: _need(name, count, shares, totals, have, left))
        for index in members[group]:
            given[index] = best
        for label, n in count:
            have[best, label] += n
            left[label] -= 1
    return given


def _need(name: str, count: list[tuple[int, int]], shares: dict, totals: Counter, have: Counter, left: Counter):
    """(classes of this group that the split would else go without, how far below its share it is with half of it)."""
    lacking = 0
    for label, _ in count:
        others = sum(have[other, label] == 0 for other in shares)
        lacking += have[name, label] == 0 and left[label] <= others
    room = sum(n * (shares[name] * totals[c] - have[name, c] - n / 2) / totals[c] for c, n in count)
    return lacking, room


def write_split(parts: dict[str, list[dict]], classes: Sequence[str], out: Path) -> None:
    """train.csv, val.csv, test.csv, and classes.csv: what the labels in them number."""
    for name, rows in parts.items():
        write_csv(out / f"{name}.csv", [{k: row[k] for k in COLUMNS} for row in rows], COLUMNS)
    names = [{"label": label, "class": name} for label, name in enumerate(classes)]
    write_csv(out / "classes.csv", names, ["label", "class"])


def read_split(out: Path) -> dict[str, list[dict]]:
    """What was written, with numbers as numbers."""
    return {
        name: [r | {"row": int(r["row"]), "label": int(r["label"])} for r in read_csv(out / f"{name}.csv")]
        for name in NAMES
    }
