"""What the audit hands on: the subject of its checks, its numbers, its sentences."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from recipe.data.decisions import decide, read_decisions
from recipe.data.source import IMAGE
from recipe.data.store import Store
from recipe.stages.audit import class_balance as classes_of
from recipe.stages.audit import shortcuts
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.bias import Bias, Gain, sentence
from recipe.stages.audit.checks import Audited
from recipe.stages.audit.labels import Suspects
from recipe.stages.audit.probes.questions import Finding

EVIDENCE = {
    "every_class_has_an_example": ["pictures/class_counts.png"],
    "equal_inputs_have_one_label": ["explorer.html"],
    "no_copies_across_given_splits": ["explorer.html"],
    "classes_are_balanced": ["pictures/class_counts.png"],
    "no_exact_copies": ["explorer.html"],
    "no_near_copies": ["explorer.html"],
    "no_input_is_blank": ["pictures/statistics.png"],
    "no_outliers": ["explorer.html"],
    "labels_agree": ["explorer.html"],
    "metadata_says_nothing": ["probes.json"],
}
METRIC_OF_FLAG = {
    "exact copy": "exact_copies",
    "near copy": "near_copies",
    "other label": "label_conflicts",
    "across splits": "copies_across_splits",
    "blank": "blank",
    "outlier": "outliers",
    "suspect label": "suspect_labels",
}
TOLD = 3  # columns, factors and confusions that sentences speak of
NEARER = 0.03  # of the distance by chance: less is told to nobody
WIDE = 0.15  # a bracket of the noise that says little


def audited(found: Audit, store: Store, decisions: str) -> Audited:
    """A finding that decisions.csv settles, by drop or relabel, closes no gate."""
    table = found.columns
    examples = [{"id": str(i), "label": int(label)} for i, label in zip(table["id"], table["label"], strict=True)]
    decided = read_decisions(decisions, {e["id"] for e in examples}, store.classes)
    kept = {e["id"]: e["label"] for e in decide(examples, decided, store.classes)}
    return Audited(
        table,
        [kept.get(e["id"]) for e in examples],
        store.classes,
        store.kind == IMAGE and store.inputs.dtype != np.uint8,
        found.order.gap,
        found.order.spread,
        found.suspects.rate if found.suspects and not found.suspects.weak else None,
        _first(found.beside),
        _first(found.split),
        found.shortcut,
        found.table,
    )


def _first(found: Bias | None) -> Gain | None:
    """The first column that predicts, else the first; not the place in the file: class folders are sorted by nature."""
    columns = [g for g in found.columns if g.column != "order"] if found else []
    return next((g for g in columns if g.verdict == "yes"), next(iter(columns), None))


def metrics(found: Audit, classes: Sequence[str]) -> dict[str, float]:
    table = found.columns
    balance = classes_of.balance(table["label"], len(classes))
    flags = [set(flags.split("; ")) for flags in table["flags"].tolist()]
    numbers = {
        "examples": len(flags),
        "classes": len(classes),
        "effective_classes": round(balance.effective, 3),
        "smallest_class": min(balance.counts),
        "largest_class": max(balance.counts),
        **{name: sum(flag in f for f in flags) for flag, name in METRIC_OF_FLAG.items()},
        "order_gap": round(found.order.gap, 4),
        "shuffled_split_gain": round(found.order.gain, 4),
    }
    if found.suspects:
        numbers["neighbours_accuracy"] = round(found.suspects.accuracy, 4)
        if found.suspects.rate:
            numbers["label_noise_low"], numbers["label_noise_high"] = found.suspects.rate
    for probe in found.probes:
        if probe.value is not None and not probe.factor:
            numbers[f"probe_{probe.probe}"] = round(probe.value, 2)
    return numbers


def summary(m: dict) -> str:
    return f"{m['examples']:,} examples in {counts(m)}"


def counts(m: dict) -> str:
    return (
        f"{m['classes']} classes of {m['smallest_class']:,} to {m['largest_class']:,}: "
        f"{m['exact_copies']:,} exact copies, {m['near_copies']:,} near copies, {m['outliers']:,} outliers, "
        f"{m['blank']:,} blank, {m['label_conflicts']:,} equal inputs with different labels."
    )


def sentences(found: Audit, classes: Sequence[str], columns: Sequence[str]) -> list[str]:
    """What else was found, in the order of the recipe's questions."""
    told = [_order(found), *_outliers(found), *_labels(found.suspects, classes), *_columns(found)]
    told += [_biased(b, "stands beside the input") for b in (found.beside,) if b]
    told += [_biased(b, "is measured of the input") for b in (found.looks,) if b]
    told += [_biased(b, "was measured") for b in (found.split,) if b]
    told += [shortcuts.sentence(found.shortcut, classes, columns)] if found.shortcut else []
    told += [p.sentence if p.verdict == "undecided" else f"{p.sentence} {p.suggests}" for p in _spoken(found)]
    return [text for text in dict.fromkeys(told) if text]


def _order(found: Audit) -> str:
    points = 100 * found.order.gain
    if points <= 0 or 1 - found.order.gap < max(NEARER, 5 * found.order.spread):  # as rows_are_exchangeable asks
        return ""
    return (
        f"Look-alikes of a class stand {100 * (1 - found.order.gap):.0f} % nearer in the file than by chance; a "
        f"nearest-neighbour rule scores {points:.1f} points better on a shuffled split than on blocks of the file."
    )


def _outliers(found: Audit) -> list[str]:
    """The inputs that are most unlike the rest, each with the reason, and the picture that is there most often."""
    table = found.columns
    called = [str(name or own) for name, own in zip(table["name"], table["id"], strict=True)]
    texts = []
    rows = [r for r in np.lexsort((table["id"], -table["outlier"])).tolist() if table["outlier_reason"][r]]
    if rows:
        reasons = ", ".join(f"`{called[r]}` ({table['outlier_reason'][r]})" for r in rows[:TOLD])
        more = f", and {len(rows) - TOLD:,} more" if len(rows) > TOLD else ""
        texts.append(f"Outliers: {reasons}{more}.")
    copies = Counter(table["hash"].tolist())
    most, count = max(copies.items(), key=lambda item: (item[1], item[0]))
    if count > 2 and found.kind == IMAGE:
        same = np.flatnonzero(table["hash"] == most).tolist()
        places = sorted({str(table["class"][row]) for row in same})
        where = f"class {places[0]}" if len(places) == 1 else f"{len(places)} classes"
        texts.append(
            f"One picture is there {count:,} times, all in {where}: `{called[same[0]]}` is the first. It may "
            "be a placeholder."
        )
    return texts


def _labels(judged: Suspects | None, classes: Sequence[str]) -> list[str]:
    if judged is None:
        return []
    right = f"a model that has not seen an example gives its label in {100 * judged.accuracy:.1f} % of cases"
    if judged.weak:
        return [f"Labels: {right}: too few to judge single labels by. Rank them again by the loss of a trained net."]
    low, high = judged.rate if judged.rate else (0.0, 0.0)
    alike = " Classes that overlap look the same as wrong labels." if high - low > WIDE else ""
    told = [
        f"Labels: {100 * low:.0f} to {100 * high:.0f} % are wrong, as far as a model out of fold can tell ({right}); "
        f"suspects: {int(judged.flagged.sum()):,}.{alike} Judge the first ones in the explorer: a person decides."
    ]
    return told + [f"{classes_of.sentence(c, classes)}." for c in classes_of.confusions(judged)[:TOLD]]


def _columns(found: Audit) -> list[str]:
    if found.table is None:
        return []
    gaps = sorted(found.table.missing.items(), key=lambda item: (-item[1], item[0]))
    shares = ", ".join(f"`{name}` {100 * share:.1f} %" for name, share in gaps[:TOLD])
    return [f"Values are missing in {len(gaps)} columns, most in {shares}."] if gaps else []


def _biased(found: Bias, what: str) -> str:
    """The columns that say most, or that none does."""
    telling = [g for g in found.columns if g.verdict == "yes"]
    if not telling:
        names = ", ".join(g.column for g in found.columns[:TOLD])
        more = ", ..." if len(found.columns) > TOLD else ""
        return f"Nothing that {what} ({len(found.columns)}: {names}{more}) predicts the {found.target}."
    return "; ".join(_capital(sentence(g, found)) for g in telling[:TOLD]) + "."


def _spoken(found: Audit) -> list[Finding]:
    """The probes' answers about the whole, the largest parts of the variance, and what can or cannot be taken out."""
    whole = [p for p in found.probes if not p.factor]
    parts = [p for p in found.probes if p.probe == "variance" and p.factor and p.value is not None]
    parts.sort(key=lambda p: -p.value)
    removed = [p for p in found.probes if p.probe == "removal" and p.factor and p.verdict != "undecided"]
    return [*whole, *parts[:TOLD], *removed]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
