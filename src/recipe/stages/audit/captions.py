"""What the audit shows and says: its evidence and figures, its metrics, its sentences."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from recipe.formatting import count
from recipe.stages.audit import shortcuts
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.bias import Bias
from recipe.stages.audit.explained import Explained
from recipe.stages.audit.probes.results import ProbeResult
from recipe.stages.audit.targets import targets_of
from recipe.tasks.task import Task

FOLDER = "pictures"  # which pictures there are depends on the kind of data; DVC keeps the folder
EVIDENCE = {
    "every_class_has_an_example": [f"{FOLDER}/class_counts.png"],
    "equal_inputs_have_one_label": ["explorer.html"],
    "no_copies_across_given_splits": ["explorer.html"],
    "classes_are_balanced": [f"{FOLDER}/class_counts.png"],
    "no_exact_copies": ["explorer.html"],
    "no_near_copies": ["explorer.html"],
    "no_input_is_blank": [f"{FOLDER}/statistics.png"],
    "no_outliers": ["explorer.html"],
    "labels_agree": ["explorer.html"],
    "labels_are_distinct": [f"{FOLDER}/together.png"],
    "quantities_agree": ["explorer.html", f"{FOLDER}/suspect_values.png"],
    "quantities_have_no_outliers": ["explorer.html", f"{FOLDER}/class_counts.png"],
    "metadata_says_nothing": ["probes.json"],
}
FIGURES = {
    "statistics.png": "Distribution of each statistic over the examples. Examples beyond a dashed line are flagged.",
    "resolution.png": "Accuracy of a linear probe by image size. The bars are 95 % CIs of the change from full size.",
    "variations.png": "Factors by which the images vary: their share of the variance of the pixels, how well each one "
    "predicts the class, and how linear-probe accuracy changes when it is removed.",
    "columns.png": "By how much the score of gradient boosting falls when one column is shuffled, with 95 % CI.",
    "classes.png": "A random sample of each class (at most of the 40 smallest), with the ids for decisions.csv.",
    "intensities.png": "Distribution of the values in each class (area) and in the whole data set (line).",
    "outliers.png": "The examples with the highest outlier scores. z is the score, a robust number of standard "
    "deviations.",
    "copies.png": "Pairs of equal inputs, and of near copies with the change between them. s is their similarity.",
    "suspects.png": "The labels that the other examples contradict most: the given class, and the one they suggest.",
}
FIGURES_WITHOUT_CLASSES = {
    "classes.png": "A random sample of the examples, with the ids for decisions.csv and what is to be predicted.",
    "suspects.png": "The targets that the other examples contradict most: what is given, and what they suggest.",
}
CLASSES_DIFFER = "Check whether the classes should differ in such statistics where the model will be used."
TARGETS_DEPEND = "Check whether it should depend on such statistics where the model will be used."
METRIC_OF_FLAG = {
    "exact copy": "exact_copies",
    "near copy": "near_copies",
    "other label": "label_conflicts",
    "across splits": "copies_across_splits",
    "blank": "blank",
    "outlier": "outliers",
    "suspect label": "suspect_labels",
}
NAMED = 3  # columns and factors that the sentences name
CLOSER = 0.03  # of the distance in shuffled files: a smaller difference is not mentioned


def evidence(drawn: Collection[str]) -> dict[str, list[str]]:
    """{check: files that show what it found}; of the pictures those that were drawn for this task."""
    return {
        check: [file for file in files if file in drawn or not file.startswith(FOLDER)]
        for check, files in EVIDENCE.items()
    }


def metrics(audit: Audit, task: Task) -> dict[str, float]:
    table = audit.columns
    flags = [set(text.split("; ")) for text in table["flags"].tolist()]
    numbers = {
        "examples": len(flags),
        **targets_of(task).metrics(audit.actual),
        **{name: sum(flag in f for f in flags) for flag, name in METRIC_OF_FLAG.items()},
        "order_gap": round(audit.order.gap, 4),
        "shuffled_split_gain": round(audit.order.gain, 4),
    }
    numbers |= audit.judged.metrics() if audit.judged else {}
    for probe in audit.probes:
        if probe.value is not None and not probe.factor:
            numbers[f"probe_{probe.probe}"] = round(probe.value, 2)
    return numbers


def summary(m: Mapping[str, Any], task: Task) -> str:
    return f"{m['examples']:,} examples {'in' if task.classes else 'with'} {counts(m, task)}"


def counts(m: Mapping[str, Any], task: Task) -> str:
    return (
        f"{targets_of(task).described(m)}: {count(m['exact_copies'], 'exact copy', 'exact copies')}, "
        f"{count(m['near_copies'], 'near copy', 'near copies')}, {count(m['outliers'], 'outlier')}, "
        f"{count(m['blank'], 'blank input')}, {count(m['label_conflicts'], 'equal input')} with different labels."
    )


def sentences(audit: Audit, task: Task) -> list[str]:
    """What else the audit found, in the order of the recipe's questions."""
    texts = [_order(audit), *_outliers(audit, task), *_judged(audit)]
    texts += [*targets_of(task).findings(audit.actual), *_missing(audit)]
    should = task.choose(classes=CLASSES_DIFFER, labels=TARGETS_DEPEND, quantities=TARGETS_DEPEND)
    biases = (
        (audit.metadata_bias, "metadata", "Balance the data over such metadata, split by them, or remove them."),
        (audit.statistics_bias, "statistics of the input", should),
        (audit.split_bias, "metadata and statistics", "The splits differ: find out how they were collected."),
    )
    texts += [_bias(bias, columns, advice) for bias, columns, advice in biases if bias]
    texts += [shortcuts.sentence(audit.shortcut, task), _scripts(audit)]
    texts += [p.sentence if p.verdict == "undecided" else f"{p.sentence} {p.suggests}" for p in _main_probes(audit)]
    return [text for text in dict.fromkeys(texts) if text]


def _scripts(audit: Audit) -> str:
    """Of texts, how many are in another script than most."""
    if "other_script" not in audit.columns:
        return ""
    other, n = int((audit.columns["other_script"] > 0.5).sum()), len(audit.columns["other_script"])
    if not other:
        return ""
    return (
        f"{count(other, 'text')} of {n:,} {'is' if other == 1 else 'are'} mainly in another script than the others: "
        "sort by `other_script` in the explorer, and decide whether these languages should be there."
    )


def _order(audit: Audit) -> str:
    points = 100 * audit.order.gain
    if points <= 0 or 1 - audit.order.gap < max(CLOSER, 5 * audit.order.spread):  # as in rows_are_exchangeable
        return ""
    return (
        f"Nearest neighbours of one class are {100 * (1 - audit.order.gap):.0f} % closer in the file than in a "
        f"shuffled file. A 1-nearest-neighbour rule scores {points:.1f} points better on shuffled folds than on blocks "
        "of the file."
    )


def _outliers(audit: Audit, task: Task) -> list[str]:
    """The inputs with the highest scores, each with the reason, and the picture that occurs most often."""
    table = audit.columns
    names = [str(name or identity) for name, identity in zip(table["name"], table["id"], strict=True)]
    texts = []
    rows = [r for r in np.lexsort((table["id"], -table["outlier"])).tolist() if table["outlier_reason"][r]]
    if rows:
        reasons = ", ".join(f"`{names[r]}` ({table['outlier_reason'][r]})" for r in rows[:NAMED])
        more = f", and {len(rows) - NAMED:,} more" if len(rows) > NAMED else ""
        texts.append(f"Outliers: {reasons}{more}.")
    copies = Counter(table["hash"].tolist())
    most, times = max(copies.items(), key=lambda item: (item[1], item[0]))
    if times > 2 and audit.kind.has_pixels:
        same = np.flatnonzero(table["hash"] == most).tolist()
        shown = sorted({str(table["class"][row]) for row in same})
        one, several = task.choose(
            classes=("in class", "in {} classes"), labels=("with the labels", "with {} sets of labels"),
            quantities=("with the value", "with {} different values"),
        )  # fmt: skip
        where = f"{one} {shown[0]}" if len(shown) == 1 else several.format(len(shown))
        texts.append(
            f"One picture occurs {times:,} times, all {where}: `{names[same[0]]}` is the first. "
            "It may be a placeholder."
        )
    return texts


def _judged(audit: Audit) -> list[str]:
    return [*audit.judged.sentences(), f"That model looks at {audit.features}."] if audit.judged else []


def _missing(audit: Audit) -> list[str]:
    if audit.table is None:
        return []
    ranked = sorted(audit.table.missing.items(), key=lambda item: (-item[1], item[0]))
    shares = ", ".join(f"`{name}` ({100 * share:.1f} %)" for name, share in ranked[:NAMED])
    return [f"Values are missing in {len(ranked)} columns, most often in {shares}."] if ranked else []


def _bias(bias: Bias | Explained, columns: str, advice: str) -> str:
    """The columns that predict best, or that none does."""
    predictive = bias.predictive()
    if not predictive:
        names = ", ".join(f"`{g.column}`" for g in bias.columns[:NAMED])
        more = f" and {len(bias.columns) - NAMED} more" if len(bias.columns) > NAMED else ""
        return f"None of the {columns} predicts the {bias.target} (tested: {names}{more})."
    return "; ".join(map(_capital, predictive[:NAMED])) + f". {advice}"


def _main_probes(audit: Audit) -> list[ProbeResult]:
    """The results about the whole input, the factors with the largest shares of the variance, decided removals, the
    columns that matter the most."""
    whole = [p for p in audit.probes if not p.factor]
    shares = [p for p in audit.probes if p.probe == "variance" and p.factor and p.value is not None]
    shares.sort(key=lambda p: -(p.value or 0.0))
    removals = [p for p in audit.probes if p.probe == "removal" and p.factor and p.verdict != "undecided"]
    columns = [p for p in audit.probes if p.probe == "column" and p.verdict == "yes"]
    columns.sort(key=lambda p: -(p.value or 0.0))
    return [*whole, *shares[:NAMED], *removals, *columns[:NAMED]]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
