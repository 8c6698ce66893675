"""Claims about copies of an input."""

from collections import defaultdict

import numpy as np

from recipe.checks.repeated_rows import rows_repeat
from recipe.metrics.repeated_inputs import error_floor
from recipe.stages.audit.checks.inputs import none_flagged
from recipe.stages.audit.checks.subject import Audited
from recipe.stages.audit.targets import targets_of
from recipe.verdict import Verdict, check, exactly, skip, undecided


@check(source="Recipe 1, duplicate examples, corrupted labels")
def equal_inputs_have_one_label(a: Audited) -> Verdict:
    """Equal inputs have equal labels, after decisions.csv.

    At least one label of each such set is wrong. The flag `other label` in examples.parquet marks them, and the sheet
    of copies shows them. Drop or relabel the wrong ones in decisions.csv, with a reason; both settle this check. Rows
    of a table may be equal because the columns say too little, so equal rows close no gate.
    """
    kept = [(content, label) for content, label in zip(a.columns["hash"], a.labels, strict=True) if label is not None]
    if not kept:
        return exactly(0, 0)
    contents, labels = (np.array(part) for part in zip(*kept, strict=True))
    bounds = error_floor(*(np.unique(part, return_inverse=True)[1] for part in (contents, labels)))
    if a.table is None or not bounds.sets:
        finding = (
            f"{bounds.sets:,} inputs occur with different labels ({bounds.examples:,} examples). Drop or relabel the "
            "wrong ones in decisions.csv."
        )
        return exactly(bounds.sets, 0, finding=finding)
    needed = (
        "Columns that distinguish equal rows would decide, or a check of their labels (flag `other label` in "
        "examples.parquet)."
    )
    return undecided(bounds.sets, "= 0", needed, finding=targets_of(a.task).equal_rows(bounds, _lowest_loss(a)))


def _lowest_loss(a: Audited) -> float:
    """Of any function of the columns, under the usual loss of the task."""
    kept = [(content, label) for content, label in zip(a.columns["hash"], a.labels, strict=True) if label is not None]
    form = a.task.labels
    actual = form.tensor([form.parsed(label) for _, label in kept])
    return a.task.lowest_loss(
        np.unique([content for content, _ in kept], return_inverse=True)[1], a.task.scaled(actual).targets(actual)
    )


@check(source="Recipe 1, duplicate examples; Barz and Denzler 2020, near-duplicates in CIFAR", gate=False)
def no_copies_across_given_splits(a: Audited) -> Verdict:
    """No copy, exact or near, of an example is in another of the splits that the source gives.

    A published score on such a split is too good. The explorer shows the copies: drop one of each in decisions.csv. As
    long as it obeys the given splits, the split stage closes its gate on them and proposes the lines; with
    `split: {given: ignore}` it makes new splits and keeps copies together. The value counts groups of copies.
    """
    if len(set(a.columns["given_split"])) < 2:
        return skip("the source gives no splits")
    splits_of: defaultdict[str, set[str]] = defaultdict(set)
    for group, split, label in zip(a.columns["dup_group"], a.columns["given_split"], a.labels, strict=True):
        splits_of[group] |= {split} if split and label is not None else set()
    count = sum(len(splits) > 1 for splits in splits_of.values())
    finding = (
        f"{count:,} groups of copies are in more than one of the given splits, so a score on these is too good. Drop "
        "the copies in decisions.csv, or divide all examples anew: `split: {given: ignore}` in params.yaml."
    )
    return exactly(count, 0, finding=finding)


@check(source="Recipe 1, duplicate examples", gate=False)
def no_exact_copies(a: Audited) -> Verdict:
    """No input occurs twice; in a table, not more equal rows than the values of its columns explain.

    Copies count double in the loss. The split keeps them together; drop the surplus ones in decisions.csv.
    """
    if a.table is not None:
        return rows_repeat(a.table.repeats, gate=False)
    return none_flagged(a, "exact copy", "are exact copies. Drop the surplus ones in decisions.csv.")


@check(source="Recipe 1, duplicate examples", gate=False)
def no_near_copies(a: Audited) -> Verdict:
    """No input is a near copy of another, much nearer to it than to anything else.

    Common causes: films cut into frames, augmented files, one picture saved twice. The split keeps near copies
    together.
    """
    return none_flagged(a, "near copy", "have a near copy. Look at them in the explorer.")
