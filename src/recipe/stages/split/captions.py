"""What the split stage says of a division: its numbers, its sentences, and lines for decisions.csv."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from recipe.data.decisions import ACTIONS, COLUMNS, Decision
from recipe.data.split_names import NAMES
from recipe.data.splits import group_ids
from recipe.files import write_csv
from recipe.problems import shown
from recipe.stages.split.divide import ENOUGH, Division

EVIDENCE = {name: ["classes.png"] for name in ("class_shares_agree", "every_class_is_in_every_split")}
EVIDENCE["no_copies_across_splits"] = ["copies.csv"]
CLASSES = "examples per class and split"
FIGURES = {"classes.png": "Examples per class in train, val and test, after decisions.csv."}
DONE = {"drop": "dropped", "relabel": "relabelled", "keep": "kept_by_decision"}
REASONS = 8  # told of each action
TOLD = 5  # classes that a sentence names


def metrics(division: Division, decisions: dict[str, Decision]) -> dict[str, int]:
    actions = Counter(decision.action for decision in decisions.values())
    numbers = {name: len(rows) for name, rows in division.parts.items()}
    numbers |= {"groups": len(set(group_ids(division.kept)))} | {DONE[action]: actions[action] for action in ACTIONS}
    numbers |= {f"given_{name}": count for name, count in division.given.items()}
    if division.given:
        numbers["not_as_given"] = division.moved
    return numbers | ({"rare": sum(division.rare.values())} if division.rare else {})


def summary(division: Division, decisions: dict[str, Decision]) -> str:
    n, kept = metrics(division, decisions), len(division.kept)
    return (
        f"{n['train']:,} train, {n['val']:,} val, {n['test']:,} test; {kept:,} examples in {n['groups']:,} groups that "
        f"stay whole; decisions.csv drops {n['dropped']:,} and relabels {n['relabelled']:,}."
    )


def sentences(division: Division) -> list[str]:
    """How the splits came about, where anything but a random division of all examples was done."""
    empty = ", ".join(map(shown, division.empty[:TOLD])) + (", ..." if len(division.empty) > TOLD else "")
    gone = f"No example is left of {empty}: no class any more." if division.empty else ""
    how = [_of_given(division), _of_time(division), _of_rare(division), gone]
    return [text for text in how if text]


def _of_given(division: Division) -> str:
    if not division.given:
        return ""
    counts = {name: len(rows) for name, rows in division.parts.items()}
    gives = " and ".join(", ".join(f"{name} {n:,}" for name, n in division.given.items()).rsplit(", ", 1))
    if not division.obeyed:
        return (
            f"The splits that the source gives ({gives}) are ignored, as `given: ignore` asks: all examples were "
            f"divided anew, and {division.moved:,} are in another split than the source puts them in. A score on these "
            "splits cannot be compared with one on the source's own."
        )
    made = [name for name in division.shares if name != "train"]
    if not made:
        return f"The source gives {gives}: obeyed, and nothing was divided here."
    carved = " and ".join(f"{name} ({counts[name]:,}, {division.shares[name]:.0%} asked for)" for name in made)
    return (
        f"The source gives {gives}: obeyed. It gives no {' and no '.join(made)}: carved out of its train, which keeps "
        f"{counts['train']:,}: {carved}."
    )


def _of_time(division: Division) -> str:
    if not division.moments:
        return ""
    ends = []
    for name, rows in division.parts.items():
        times = sorted(division.moments[e["id"]] for e in rows)
        if times:
            ends.append(f"{name} from {_told(times[0])} to {_told(times[-1])}")
    return (
        f"By time of `{division.plan.column}`: {', '.join(ends)}. Examples of one moment are in one split, and "
        "examples that stay together count as late as the latest of them."
    )


def _told(moment) -> str:
    whole = isinstance(moment, float) and moment.is_integer()
    return str(int(moment) if whole else moment).removesuffix(" 00:00:00")


def _of_rare(division: Division) -> str:
    if not division.rare:
        return ""
    named = [f"{shown(name)} ({n})" for name, n in division.rare.items()]
    more = f" and {len(named) - TOLD} more" if len(named) > TOLD else ""
    did = "in train alone, so no score knows them"
    if division.plan.rare == "drop":
        did = "left out, and no class any more"
    elif any(e["class"] in division.rare for name in NAMES[1:] for e in division.parts[name]):
        did = "in train, but for those that the source gives to another split"
    return (
        f"Classes with fewer than {ENOUGH} examples (copies and groups count once) are {did}, as "
        f"`rare: {division.plan.rare}` asks: {', '.join(named[:TOLD])}{more}; {sum(division.rare.values()):,} examples."
    )


def crossing(parts: Mapping[str, Sequence[dict]], kept: Sequence[dict], column: str) -> dict[str, dict[str, list[str]]]:
    """{value of a column of `kept`: {split: ids}} of the values that are in more than one split; empty values aside."""
    value, found = {e["id"]: e[column] for e in kept}, defaultdict(lambda: defaultdict(list))
    for name, rows in parts.items():
        for row in rows:
            if value.get(row["id"]):
                found[value[row["id"]]][name].append(row["id"])
    return {key: dict(splits) for key, splits in sorted(found.items()) if len(splits) > 1}


def proposals(division: Division) -> list[dict]:
    """Lines for decisions.csv: of copies in several splits those are dropped that leave test, and else val, whole."""
    lines = []
    for splits in crossing(division.parts, division.kept, "dup_group").values():
        stays = [name for name in NAMES if name in splits][-1]
        for name, ids in splits.items():
            reason = f"a copy of {splits[stays][0]}, which is in {stays}"
            dropped = [] if name == stays else ids
            lines += [{"id": i, "action": "drop", "label": "", "reason": f"in {name}; {reason}"} for i in dropped]
    return lines


def write_proposals(division: Division, path: Path) -> None:
    """The proposals as a table that decisions.csv can take over."""
    write_csv(path, proposals(division), COLUMNS)


def reasons(decisions: dict[str, Decision]) -> list[str]:
    """A sentence per action of decisions.csv with its reasons, the commonest first."""
    said = []
    for action in ACTIONS:
        count = Counter(d.reason for d in decisions.values() if d.action == action)
        named = [f"{n:,} for `{reason}`" for reason, n in sorted(count.items(), key=lambda r: (-r[1], r[0]))]
        more = f" and {len(named) - REASONS} other reasons" if len(named) > REASONS else ""
        if named:
            how = DONE[action].replace("_", " ")
            said.append(f"decisions.csv: {count.total():,} {how}, {', '.join(named[:REASONS])}{more}.")
    return said
