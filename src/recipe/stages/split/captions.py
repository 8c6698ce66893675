"""What the split stage shows and says: evidence, figures, metrics, sentences, and lines for decisions.csv."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from recipe.data.decisions import ACTIONS, COLUMNS, Decision
from recipe.data.split_names import NAMES
from recipe.data.splits import group_ids
from recipe.files import write_csv
from recipe.formatting import count
from recipe.problems import shown
from recipe.stages.split.divide import Division, in_several_splits
from recipe.stages.split.timeline import Moment

EVIDENCE = {name: ["classes.png"] for name in ("class_shares_agree", "every_class_is_in_every_split")}
EVIDENCE["no_copies_across_splits"] = ["copies.csv"]
DONE = {"drop": "dropped", "relabel": "relabelled", "keep": "kept_by_decision"}
REASONS = 8  # of each action that the sentences name
NAMED = 5  # classes that a sentence names


def metrics(division: Division, decisions: Mapping[str, Decision]) -> dict[str, int]:
    actions = Counter(decision.action for decision in decisions.values())
    numbers = {name: len(rows) for name, rows in division.parts.items()}
    numbers |= {"groups": len(set(group_ids(division.kept)))} | {DONE[action]: actions[action] for action in ACTIONS}
    numbers |= {f"given_{name}": count for name, count in division.given.items()}
    if division.given:
        numbers["not_as_given"] = division.moved
    return numbers | ({"rare": sum(division.rare.values())} if division.rare else {})


def summary(division: Division, decisions: Mapping[str, Decision]) -> str:
    n, kept = metrics(division, decisions), len(division.kept)
    return (
        f"{n['train']:,} train, {n['val']:,} val, {n['test']:,} test; {kept:,} examples in {n['groups']:,} independent "
        f"groups (copies count once); decisions.csv drops {n['dropped']:,} and relabels {n['relabelled']:,}."
    )


def sentences(division: Division) -> list[str]:
    """How the examples were divided, where it was not simply a random division of all of them."""
    empty = ", ".join(map(shown, division.empty[:NAMED])) + (", ..." if len(division.empty) > NAMED else "")
    removed = f"Classes without an example after decisions.csv were removed: {empty}." if division.empty else ""
    return [
        text
        for text in (_of_given(division), _of_time(division), _of_folds(division), _of_rare(division), removed)
        if text
    ]


def _of_folds(division: Division) -> str:
    if not division.folds:
        return ""
    sizes = Counter(fold for fold in division.folds.values() if fold is not None)
    always = sum(fold is None for fold in division.folds.values())
    kept = f"; {count(always, 'example')} of train validate{'s' * (always == 1)} in none" if always else ""
    return (
        f"Train and val are divided into {division.plan.folds} folds of {min(sizes.values()):,} to "
        f"{max(sizes.values()):,} examples{kept}: regularize, tune and ensemble validate on each fold what was trained "
        "on the others; baseline and overfit use the first fold, which is val."
    )


def _of_given(division: Division) -> str:
    if not division.given:
        return ""
    counts = {name: len(rows) for name, rows in division.parts.items()}
    gives = " and ".join(", ".join(f"{name} {n:,}" for name, n in division.given.items()).rsplit(", ", 1))
    if not division.obeyed:
        return (
            f"The splits of the source ({gives}) are ignored because of `given: ignore`: all examples were divided "
            f"anew, and {division.moved:,} are in another split than the source puts them in. A score on these splits "
            "cannot be compared with one on the splits of the source."
        )
    made = [name for name in division.shares if name != "train"]
    if not made:
        return f"The source gives {gives}; these splits are obeyed."
    taken = " and ".join(f"{name} ({counts[name]:,}, {division.shares[name]:.0%} requested)" for name in made)
    return (
        f"The source gives {gives}; these splits are obeyed. {' and '.join(made)} {'are' if len(made) > 1 else 'is'} "
        f"missing and taken out of the given train: {taken}; {counts['train']:,} remain in train."
    )


def _of_time(division: Division) -> str:
    if not division.moments:
        return ""
    ranges = []
    for name, rows in division.parts.items():
        times = sorted(division.moments[e["id"]] for e in rows)
        if times:
            ranges.append(f"{name} from {_time(times[0])} to {_time(times[-1])}")
    return (
        f"The split is by time (`{division.plan.column}`): {', '.join(ranges)}. Examples of one time are in one split, "
        "and examples that stay together count as late as the latest of them."
    )


def _time(moment: Moment) -> str:
    whole = isinstance(moment, float) and moment.is_integer()
    return str(int(moment) if whole else moment).removesuffix(" 00:00:00")


def _of_rare(division: Division) -> str:
    if not division.rare:
        return ""
    classes = [f"{shown(name)} ({n})" for name, n in division.rare.items()]
    more = f" and {len(classes) - NAMED} more" if len(classes) > NAMED else ""
    done = "are only in train, so no validation or test score includes them"
    if division.plan.rare == "drop":
        done = "are left out, and their classes are removed"
    elif any(e["class"] in division.rare for name in NAMES[1:] for e in division.parts[name]):
        done = "are in train, except those that the source gives to another split"
    return (
        f"The {sum(division.rare.values()):,} examples of classes with fewer than {division.plan.fewest} examples "
        f"(copies and groups count once) {done}, because of `rare: {division.plan.rare}`: "
        f"{', '.join(classes[:NAMED])}{more}."
    )


def proposals(division: Division) -> list[dict[str, str]]:
    """Lines for decisions.csv that drop copies in several splits, so that test, or else val, keeps all its examples."""
    lines = []
    for splits in in_several_splits(division.parts, division.kept, "dup_group").values():
        stays = [name for name in NAMES if name in splits][-1]
        for name, ids in splits.items():
            reason = f"in {name}; a copy of {splits[stays][0]}, which is in {stays}"
            dropped = [] if name == stays else ids
            lines += [{"id": i, "action": "drop", "label": "", "reason": reason} for i in dropped]
    return lines


def write_proposals(division: Division, path: Path) -> None:
    """The proposals as a table whose lines can be added to decisions.csv."""
    write_csv(path, proposals(division), COLUMNS)


def reasons(decisions: Mapping[str, Decision]) -> list[str]:
    """A sentence per action of decisions.csv with its reasons, the commonest first."""
    texts = []
    for action in ACTIONS:
        count = Counter(d.reason for d in decisions.values() if d.action == action)
        named = [f"{n:,} for `{reason}`" for reason, n in sorted(count.items(), key=lambda r: (-r[1], r[0]))]
        more = f" and {len(named) - REASONS} other reasons" if len(named) > REASONS else ""
        if named:
            done = DONE[action].replace("_", " ")
            texts.append(f"decisions.csv: {count.total():,} {done}, {', '.join(named[:REASONS])}{more}.")
    return texts
