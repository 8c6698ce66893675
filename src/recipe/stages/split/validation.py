"""Claims about what validation can decide: its folds, and its size."""

from collections import defaultdict

from recipe.data.splits import group_ids
from recipe.metrics import power
from recipe.metrics.power import Estimate
from recipe.stages.split.checks import Written, none_lacks, none_of
from recipe.verdict import FAIL, PASS, Verdict, bounded, check, exactly, skip

NO_FOLDS = "folds: null"
AGAIN = "The list was edited by hand, or is of another run: type `dvc repro split`."


@check(source="Kohavi 1995, cross-validation")
def folds_cover_train_and_val(w: Written) -> Verdict:
    """Every example of train and val that was divided here validates in exactly one fold, and val is the first fold.

    folds.csv was edited by hand, or comes from another run: type `dvc repro split`. The value counts the examples that
    are in several folds, in none, in one that there is not, or in another split than their fold says.
    """
    if not w.division.plan.folds:
        return skip(NO_FOLDS)
    folds = defaultdict(list)
    for name, fold in w.folds:
        folds[name].append(fold)
    split = {row["id"]: part for part in ("train", "val") for row in w.parts[part]}
    possible = range(w.division.plan.folds)
    wrong = set(folds) ^ set(split)
    for name in set(folds) & set(split):
        fold, divided = folds[name][0], name in w.division.divided
        right = fold in possible if divided else fold is None
        if len(folds[name]) > 1 or not right or (split[name] == "val") != (fold == 0):
            wrong.add(name)
    finding = f"{len(wrong):,} examples of train and val are not in exactly one fold. {AGAIN}"
    return exactly(len(wrong), 0, finding=finding)


@check(source="Kaufman et al. 2012, leakage in data mining")
def no_group_across_folds(w: Written) -> Verdict:
    """No group (writer, patient) and no copy of an example validates in two folds.

    Otherwise networks are validated on what they were trained on, and everything that is chosen over folds is chosen by
    memory. Groups and copies stay together where the split stage makes the folds: type `dvc repro split`.
    """
    if not w.division.plan.folds:
        return skip(NO_FOLDS)
    name_of = {e["id"]: unit for e, unit in zip(w.division.kept, group_ids(w.division.kept), strict=True)}
    member: defaultdict[str, dict[int, str]] = defaultdict(dict)  # of each group {fold: an example}
    for name, fold in w.folds:
        if fold is not None and name in name_of:
            member[name_of[name]].setdefault(fold, name)
    crossing = [sorted(of.items()) for of in member.values() if len(of) > 1]
    across = [" and ".join(f"{name} in fold {fold}" for fold, name in of) for of in crossing]
    return none_of(across, f"{len(across):,} groups or sets of copies validate in more than one fold. {AGAIN}")


@check(source="Recipe 1, imbalance")
def every_class_is_in_every_fold(w: Written) -> Verdict:
    """Every class, or label, has an example in each fold.

    The value names each one and the folds that lack it. If it has fewer examples than folds (copies and groups count
    once): collect more, or use fewer folds. Merge a class into another by `relabel` in decisions.csv, or set in
    params.yaml `split: {rare: drop}`, which leaves it out, or `split: {rare: train}`, which keeps it in train only;
    take a label out of `labels` of the data.
    """
    folds = w.division.plan.folds
    if not folds:
        return skip(NO_FOLDS)
    if not w.names:
        return skip("quantities are predicted")
    only_train = w.division.rare if w.division.plan.rare == "train" else {}
    have = {(fold, stratum) for name, fold in w.folds for stratum in w.division.strata.get(name, ())}
    lacking = []
    for label, name in enumerate(w.names):
        lacks = [str(fold) for fold in range(folds) if (fold, label) not in have]
        if lacks and name not in only_train:
            lacking.append(f"{name} is not in {', '.join(lacks)}")
    return none_lacks(w, lacking, "a fold", "set fewer `folds`, ")


@check(source="Cohen 1988, statistical power analysis, chapter 2", gate=False)
def validation_can_decide(w: Written, effect: float = 0.2) -> Verdict:
    """Validation has so many examples that it can show which of two similar systems is better.

    The value is the smallest difference of two systems' losses that is detected with probability 0.8, in standard
    deviations of that difference over examples; a smaller one than 0.2, Cohen's small effect, takes about 200 examples
    (copies and groups count once). With fewer, what regularize, tune and ensemble choose is chance: collect more
    examples, or set `split: {folds: 5}` in params.yaml, which validates on all of train and val.
    """
    folds = w.division.plan.folds
    unit = dict(zip((e["id"] for e in w.division.kept), group_ids(w.division.kept), strict=True))
    validated = [name for name, fold in w.folds if fold is not None] if folds else [r["id"] for r in w.parts["val"]]
    n = len({unit[name] for name in validated if name in unit})
    e = Estimate(0.0, n**-0.5 if n else float("inf"), n)
    smallest, bound = e.smallest(power.Z95), f"<= {effect:g} standard deviations"
    if smallest <= effect:
        return bounded(PASS, smallest, bound)
    where = f"The {folds} folds validate on" if folds else "Validation has"
    finding = (
        f"{where} {n:,} independent examples, too few to show which of two similar systems is better: "
        f"{power.about(e, effect, power.Z95, 'validation examples')}"
    )
    given = w.division.obeyed and "val" in w.division.given
    if not (folds or given or w.division.plan.by == "time"):
        finding += " Without more, set `split: {folds: 5}` in params.yaml: all of train and val then validates."
    return bounded(FAIL, smallest, bound, finding=finding)
