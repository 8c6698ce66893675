"""Which example is in train, val or test: by class shares, with groups whole, written once."""

from collections import defaultdict
from collections.abc import Sequence

from recipe.data.decisions import Decision

NAMES = ("train", "val", "test")


def decide(examples: list[dict], decisions: dict[str, Decision], classes: list[str]) -> list[dict]:
    """The examples without the dropped ones, relabelled ones under their new label."""
    kept = []
    for example in examples:
        decision = decisions.get(example["id"])
        if decision and decision.action == "drop":
            continue
        if decision and decision.action == "relabel":
            example = example | {"label": classes.index(decision.label), "class": decision.label}
        kept.append(example)
    return kept


def assign(labels: Sequence[int], groups: Sequence[str], shares: dict[str, float], seed: int) -> list[str]:
    """A split name per example: each class by `shares` (sum 1), each group whole.

    Groups are dealt, largest first and otherwise in an order drawn from `seed`, to the split that is furthest below its
    share in the classes of the group. Independent of the order of the examples within a group.
    """
    from recipe.train.chance import key

    members = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    totals, have = defaultdict(int), defaultdict(int)
    for label in labels:
        totals[label] += 1
    order = sorted(members, key=lambda g: (-len(members[g]), key(seed, "split", g)))
    given = [""] * len(labels)
    for group in order:
        count = defaultdict(int)
        for index in members[group]:
            count[labels[index]] += 1

        def room(name: str, count=count) -> float:
            """How far below its share the split is, in the classes of this group, after taking it."""
            return sum(n * (shares[name] * totals[c] - have[name, c] - n / 2) / totals[c] for c, n in count.items())

        best = max(shares, key=room)
        for index in members[group]:
            given[index] = best
        for label, n in count.items():
            have[best, label] += n
    return given
