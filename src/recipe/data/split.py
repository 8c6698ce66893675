"""Which example is in train, val or test: by class shares, with groups whole, written once."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from recipe.data.decisions import ACTIONS
from recipe.data.groups import joined
from recipe.errors import RecipeError
from recipe.files import read_csv, write_csv
from recipe.train.chance import key

NAMES = ("train", "val", "test")
COLUMNS = ["id", "row", "label"]
DONE = {"drop": "dropped", "relabel": "relabelled", "keep": "kept_by_decision"}
REASONS = 8  # told of each action


def split(examples: list[dict], val: float, test: float, seed: int) -> dict[str, list[dict]]:
    """{split: its examples, by row}: duplicate groups and the groups of the source whole, each class by its shares."""
    names = assign([e["label"] for e in examples], together(examples), shares(val, test), seed)
    parts = {name: [] for name in NAMES}
    for example, name in zip(examples, names, strict=True):
        parts[name].append(example)
    return {name: sorted(rows, key=lambda e: e["row"]) for name, rows in parts.items()}


def shares(val: float, test: float) -> dict[str, float]:
    if not (val > 0 and test > 0 and val + test < 1):
        raise RecipeError(f"conf/split.yaml: val {val} and test {test} must be above 0, and their sum below 1.")
    return {"train": 1 - val - test, "val": val, "test": test}


def together(examples: list[dict]) -> list[str]:
    """A name per example, the same for two that share a duplicate group or a group of the source, or are so linked."""
    own = [f"group {e['group']}" if e["group"] else f"copies {e['dup_group']}" for e in examples]
    copies = [f"copies {e['dup_group']}" for e in examples]
    top = joined([*own, *copies], zip(own, copies, strict=True))
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


def write_split(parts: dict[str, list[dict]], out: Path) -> None:
    for name, rows in parts.items():
        write_csv(out / f"{name}.csv", [{k: row[k] for k in COLUMNS} for row in rows], COLUMNS)


def read_split(out: Path) -> dict[str, list[dict]]:
    """What was written, with numbers as numbers."""
    return {
        name: [r | {"row": int(r["row"]), "label": int(r["label"])} for r in read_csv(out / f"{name}.csv")]
        for name in NAMES
    }


def findings(parts: dict[str, list[dict]], kept: list[dict], decisions: dict) -> tuple[dict[str, int], str, list[str]]:
    """(metrics, summary, a sentence per action of decisions.csv with its reasons, the commonest first)"""
    counts = {name: len(rows) for name, rows in parts.items()}
    actions = Counter(decision.action for decision in decisions.values())
    done = {DONE[action]: actions[action] for action in ACTIONS}
    groups = len(set(together(kept)))
    sentence = (
        f"{counts['train']:,} train, {counts['val']:,} val, {counts['test']:,} test; {len(kept):,} examples in "
        f"{groups:,} groups that stay whole; decisions.csv drops {actions['drop']:,} and relabels "
        f"{actions['relabel']:,}."
    )
    reasons = []
    for action in ACTIONS:
        found = Counter(d.reason for d in decisions.values() if d.action == action)
        told = [f"{n:,} for `{reason}`" for reason, n in sorted(found.items(), key=lambda r: (-r[1], r[0]))]
        more = f" and {len(told) - REASONS} other reasons" if len(told) > REASONS else ""
        if told:
            how = DONE[action].replace("_", " ")
            reasons.append(f"decisions.csv: {actions[action]:,} {how}, {', '.join(told[:REASONS])}{more}.")
    return counts | {"groups": groups} | done, sentence, reasons
