"""What the audit hands on: the subject of its checks, its numbers, its sentence."""

import numpy as np

from recipe.audit.table import Audit
from recipe.data.decisions import decide, read_decisions
from recipe.data.store import Store

EVIDENCE = {
    "every_class_has_an_example": ["class_counts.png"],
    "equal_inputs_have_one_label": ["copies.png"],
    "classes_are_balanced": ["class_counts.png"],
    "no_exact_copies": ["copies.png"],
    "no_near_copies": ["copies.png"],
    "no_input_is_blank": ["statistics.png"],
    "no_outliers": ["outliers.png"],
}
METRIC_OF_FLAG = {
    "exact copy": "exact_copies",
    "near copy": "near_copies",
    "other label": "label_conflicts",
    "blank": "blank",
    "outlier": "outliers",
}


def audited(found: Audit, store: Store, decisions: str) -> tuple:
    """The fields of checks.audit.Audited. A finding that decisions.csv settles, by drop or relabel, closes no gate."""
    table = found.columns
    examples = [{"id": str(i), "label": int(label)} for i, label in zip(table["id"], table["label"], strict=True)]
    decided = read_decisions(decisions, {e["id"] for e in examples}, store.classes)
    kept = {e["id"]: e["label"] for e in decide(examples, decided, store.classes)}
    labels = [kept.get(e["id"]) for e in examples]
    return table, labels, store.classes, store.inputs.dtype != np.uint8, found.order.gap, found.order.spread


def metrics(found: Audit, classes: list[str]) -> dict[str, float]:
    table = found.columns
    counts = np.bincount(table["label"], minlength=len(classes))
    flags = [set(flags.split("; ")) for flags in table["flags"].tolist()]
    return {
        "examples": len(flags),
        "classes": len(classes),
        "smallest_class": int(counts.min()),
        "largest_class": int(counts.max()),
        **{name: sum(flag in f for f in flags) for flag, name in METRIC_OF_FLAG.items()},
        "order_gap": round(found.order.gap, 4),
        "shuffled_split_gain": round(found.order.gain, 4),
    }


def summary(m: dict) -> str:
    sentence = (
        f"{m['examples']:,} examples in {m['classes']} classes of {m['smallest_class']:,} to {m['largest_class']:,}: "
        f"{m['exact_copies']:,} exact copies, {m['near_copies']:,} near copies, {m['outliers']:,} outliers, "
        f"{m['blank']:,} blank, {m['label_conflicts']:,} equal inputs with different labels."
    )
    points = 100 * m["shuffled_split_gain"]
    if m["order_gap"] < 1 and points > 0:
        sentence += (
            f" Look-alikes of a class stand {100 * (1 - m['order_gap']):.0f} % nearer in the file than by chance; a "
            f"nearest-neighbour rule scores {points:.1f} points better on a shuffled split than on blocks of the file."
        )
    return sentence
