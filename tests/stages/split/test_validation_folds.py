"""Folds: every example of train and val validates once, groups stay together, test stays as it is without folds."""

from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.data.splits import group_ids, read_folds, write_folds
from recipe.errors import RecipeError
from recipe.stages.split import captions, validation
from recipe.stages.split.checks import Written
from recipe.stages.split.divide import Plan, divide
from recipe.tasks.classification import Classification
from recipe.tasks.regression import Regression
from recipe.verdict import checks_of, run

CLASSES = Classification(("a", "b"))
CHECKS = checks_of(validation)


def example(n: int, label: int = 0, copy: int | None = None, group: str = "", given: str = "", day: int = 0) -> dict:
    grouping = {"dup_group": f"d{n if copy is None else copy}", "group": group, "given_split": given}
    return {
        "id": f"i{n}",
        "row": n,
        "label": label,
        "class": "ab"[label],
        "name": f"row {n}",
        "meta_day": day,
    } | grouping


def quantities(count: int) -> list[dict]:
    return [example(n) | {"label": repr(float(n * n % 97)), "class": ""} for n in range(count)]


def plan(folds: int | None = 5, **more) -> Plan:
    return Plan(0.2, 0.2, folds=folds, **more)


def written(division) -> Written:
    return Written(division.parts, division, folds=list(division.folds.items()))


def closed(subject: Written) -> set[str]:
    return {v.check for v in run(CHECKS, subject) if v.closes}


EVEN = divide([example(n, n % 2) for n in range(100)], CLASSES, plan())

# ---- the division ------------------------------------------------------------------------------------------------

labels_and_copies = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 60)), min_size=1, max_size=150)


@settings(max_examples=25, deadline=None)
@given(labels_and_copies, st.integers(2, 10), st.booleans(), st.integers(0, 3), st.randoms(use_true_random=False))
def test_each_example_validates_in_one_fold_and_nothing_divides_a_group(drawn, folds, grouped, seed, order):
    rows = [example(n, label, copy, f"g{n % 13}" if grouped else "") for n, (label, copy) in enumerate(drawn)]
    made = divide(rows, CLASSES, plan(folds, seed=seed))
    fold_of = made.folds
    assert set(fold_of) == {e["id"] for name in ("train", "val") for e in made.parts[name]}
    assert set(fold_of.values()) <= set(range(folds))
    assert {name for name, fold in fold_of.items() if fold == 0} == {e["id"] for e in made.parts["val"]}
    of_unit = defaultdict(set)
    for e, unit in zip(rows, group_ids(rows), strict=True):
        of_unit[unit].add(fold_of.get(e["id"], "test"))
    assert all(len(of) == 1 for of in of_unit.values())
    assert not closed(written(made)) - {"every_class_is_in_every_fold"}
    order.shuffle(rows)
    assert divide(rows, CLASSES, plan(folds, seed=seed)).folds == fold_of


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_test_is_the_same_as_without_folds_and_val_is_a_fold_of_the_rest(folds):
    rows = quantities(442)
    without, made = (divide(rows, Regression(("y",)), plan(n)) for n in (None, folds))
    assert made.parts["test"] == without.parts["test"]
    sizes = Counter(made.folds.values())
    assert max(sizes.values()) - min(sizes.values()) <= 2  # the tenths of the quantity are even, and so is the whole
    assert len(made.parts["val"]) == sizes[0]
    assert made.shares["val"] == pytest.approx(0.8 / folds)
    assert sum(made.shares.values()) == pytest.approx(1)


def test_every_class_and_tenth_of_a_quantity_has_its_share_of_each_fold():
    count = Counter((EVEN.folds[e["id"]], e["label"]) for name in ("train", "val") for e in EVEN.parts[name])
    assert set(count.values()) == {8}
    rows = quantities(500)
    made = divide(rows, Regression(("y",)), plan())
    value = {e["id"]: float(e["label"]) for e in rows}
    low = Counter(fold for name, fold in made.folds.items() if value[name] < 20)
    assert max(low.values()) - min(low.values()) <= 4


def test_without_folds_there_are_none():
    made = divide([example(n, n % 2) for n in range(50)], CLASSES, plan(None))
    assert made.folds == {}
    verdicts = {v.check: v for v in run(CHECKS, written(made))}
    assert {verdicts[name].verdict for name in CHECKS if name != "validation_can_decide"} == {"skip"}
    assert "fold" not in " ".join(captions.sentences(made))


def test_what_must_stay_in_train_validates_in_no_fold():
    given_test = [example(n, n % 2, given="test" if n >= 90 else "train") for n in range(100)]
    given_test[0]["dup_group"] = given_test[95]["dup_group"]  # a copy of an example of the given test
    made = divide(given_test, CLASSES, plan())
    assert made.folds["i0"] is None
    assert len(made.folds) == 90
    assert not closed(written(made))
    assert "; 1 example of train validates in none" in " ".join(captions.sentences(made))
    rare = [example(n, int(n < 4)) for n in range(60)]  # four examples of b: too few for five folds and test
    made = divide(rare, CLASSES, plan(rare="train"))
    assert {made.folds[f"i{n}"] for n in range(4)} == {None}
    assert not closed(written(made))
    assert "fewer than 6 examples" in " ".join(captions.sentences(made))


def test_the_sentence_says_how_many_folds_and_who_uses_them():
    (sentence,) = captions.sentences(EVEN)
    assert sentence.startswith("Train and val are divided into 5 folds of 16 to 16 examples: regularize, tune and ")


# ---- refused -----------------------------------------------------------------------------------------------------


def test_folds_are_refused_where_the_source_gives_val():
    rows = [example(n, n % 2, given=("train", "val", "test")[n % 3]) for n in range(60)]
    with pytest.raises(RecipeError, match=r"`folds: 5` divides train and val anew.*\{given: ignore, by: random\}"):
        divide(rows, CLASSES, plan())
    assert divide(rows, CLASSES, plan(given="ignore")).folds


def test_folds_are_refused_in_a_split_by_time():
    rows = [example(n, n % 2, day=n) for n in range(60)]
    with pytest.raises(RecipeError, match=r"`folds: 5` would validate networks on examples that are earlier"):
        divide(rows, CLASSES, plan(by="time", column="day"))


# ---- the file ----------------------------------------------------------------------------------------------------


def test_the_list_is_read_back_and_there_without_folds_too(tmp_path):
    write_folds({"i1": 0, "i2": 4, "i3": None}, tmp_path)
    assert (tmp_path / "folds.csv").read_text() == "id,fold\ni1,0\ni2,4\ni3,\n"
    assert read_folds(tmp_path) == [("i1", 0), ("i2", 4), ("i3", None)]
    write_folds({}, tmp_path)
    assert (tmp_path / "folds.csv").read_text() == "id,fold\n"
    assert read_folds(tmp_path) == []


# ---- planted bugs ------------------------------------------------------------------------------------------------


def with_folds(division, **changed) -> Written:
    """The division, with other folds of some examples in the list."""
    return replace(written(division), folds=list((division.folds | changed).items()))


def of_fold(fold: int, division=EVEN) -> list[str]:
    return [name for name, of in division.folds.items() if of == fold]


LISTED = list(EVEN.folds.items())
GROUPED = divide([example(n, n % 2, group=f"g{n // 2}") for n in range(100)], CLASSES, plan())
FIRST = next(e["id"] for e in GROUPED.parts["train"])


@pytest.mark.parametrize(
    "folds",
    [
        LISTED[1:],  # one is missing
        [*LISTED, LISTED[0]],  # one is there twice
        [*LISTED, ("test", 1)],  # one of no list
        [*LISTED[:-1], (LISTED[-1][0], 5)],  # there is no such fold
        [*LISTED[:-1], (LISTED[-1][0], None)],  # one that was divided validates nowhere
        [(name, (fold + 1) % 5) for name, fold in LISTED],  # val is not the first fold
    ],
)
def test_a_list_that_does_not_cover_train_and_val_closes_the_gate(folds):
    assert not closed(written(EVEN))
    assert "folds_cover_train_and_val" in closed(replace(written(EVEN), folds=folds))


def test_a_group_or_a_copy_in_two_folds_closes_the_gate():
    assert not closed(written(GROUPED))
    other = {FIRST: GROUPED.folds[FIRST] % 4 + 1}  # another fold that is not val
    assert closed(with_folds(GROUPED, **other)) == {"no_group_across_folds"}
    verdict = CHECKS["no_group_across_folds"](with_folds(GROUPED, **other))
    assert str(verdict.value).startswith("1: ")
    assert f"{FIRST} in fold {other[FIRST]}" in verdict.value
    copies = divide([example(n, n % 2, copy=n // 2) for n in range(100)], CLASSES, plan())
    assert closed(with_folds(copies, **{of_fold(1, copies)[0]: 2})) == {"no_group_across_folds"}


def test_a_class_that_a_fold_lacks_closes_the_gate_by_its_name():
    moved = {name: 2 for name in of_fold(1) if int(name[1:]) % 2}
    verdict = CHECKS["every_class_is_in_every_fold"](with_folds(EVEN, **moved))
    assert verdict.closes
    assert verdict.value == "1: b is not in 1"
    assert not CHECKS["every_class_is_in_every_fold"](
        written(divide(quantities(100), Regression(("y",)), plan()))
    ).closes


# ---- what validation can decide ----------------------------------------------------------------------------------


def test_a_small_validation_set_is_noted_with_the_words_to_type():
    small = divide(quantities(442), Regression(("y",)), plan(None))
    verdict = CHECKS["validation_can_decide"](written(small))
    assert (verdict.verdict, verdict.gate) == ("fail", False)
    assert "Validation has 88 independent examples" in verdict.finding
    assert "About 210 validation examples would decide (there are 88)" in verdict.finding
    assert "set `split: {folds: 5}` in params.yaml" in verdict.finding
    assert "`split: {folds: 5}`" in verdict.hint


def test_folds_validate_on_train_and_val_and_then_it_is_enough():
    assert (
        CHECKS["validation_can_decide"](written(divide(quantities(442), Regression(("y",)), plan()))).verdict == "pass"
    )
    assert CHECKS["validation_can_decide"](written(divide(quantities(1100), Regression(("y",)), plan(None)))).ok
    still = CHECKS["validation_can_decide"](written(EVEN))
    assert still.finding.startswith("The 5 folds validate on 80 independent examples")
    assert "folds: 5" not in still.finding


def test_copies_count_once():
    pairs = [example(n, copy=n // 2) | {"label": repr(float(n // 2)), "class": ""} for n in range(1100)]
    assert CHECKS["validation_can_decide"](written(divide(pairs, Regression(("y",)), plan(None)))).verdict == "fail"


def test_folds_are_not_recommended_where_they_are_refused():
    given_val = divide(
        [example(n, n % 2, given=("train", "val", "test")[n % 3]) for n in range(60)], CLASSES, plan(None)
    )
    by_time = divide([example(n, n % 2, day=n) for n in range(60)], CLASSES, plan(None, by="time", column="day"))
    for division in (given_val, by_time):
        verdict = CHECKS["validation_can_decide"](written(division))
        assert verdict.verdict == "fail"
        assert "folds: 5" not in verdict.finding
