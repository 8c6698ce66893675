"""Each claim about the data: a healthy subject passes, one that is sabotaged in its way does not."""

from dataclasses import replace

import numpy as np
import pytest

from recipe import problems
from recipe.data.expected_repeats import Repeats
from recipe.decode.value_range import DatasetValues
from recipe.stages.audit import checks as audit_checks
from recipe.stages.audit.bias import ColumnGain
from recipe.stages.audit.shortcuts import Shortcut
from recipe.stages.audit.tables import ColumnProblems
from recipe.stages.prepare import checks as prepare_checks
from recipe.stages.split import checks as split_checks
from recipe.stages.split import validation
from recipe.stages.split.divide import Division, Plan
from recipe.tasks.classification import Classification
from recipe.tasks.regression import Regression
from recipe.verdict import checks_of, run

READING = prepare_checks.Reading(problems={}, noted={}, unrepeatable=0)


def problem(kind):
    return replace(READING, problems={kind: 1})


def columns(**changed):
    """Six clean examples of three classes."""
    return {
        "hash": np.array(list("abcdef")),
        "label": np.array([0, 1, 2, 0, 1, 2]),
        "finite": np.ones(6, bool),
        "std": np.full(6, 0.3),
        "min": np.zeros(6),
        "max": np.ones(6),
        "flags": np.array([""] * 6, dtype=object),
        "given_split": np.array(["train", "train", "train", "val", "val", "val"]),
        "dup_group": np.array(list("abcdef")),
    } | changed


def gain(verdict, value=0.2):
    n = 6
    return ColumnGain("brightness", 0.5 + value, 0.5, value, value, value, value, value, value, verdict, n)


AUDITED = audit_checks.Audited(
    columns(),
    labels=[0, 1, 2, 0, 1, 2],
    task=Classification(("a", "b", "c")),
    floats=True,
    order_gap=1.0,
    order_spread=0.006,
    noise=(0.0, 0.02),
    entries=6,
    metadata=gain("no", 0.0),
    split=gain("no", 0.01),
    shortcut=Shortcut((0, 4, 4), 0, 0.91, 6),
    table=None,
)
AGES = replace(AUDITED, task=Regression(("rings",)), suspects=0, target_outliers=0)
UNIQUE = Repeats(rows=0, distinct=0, most=1, expected=0.0, count=6)
COLUMNS = ColumnProblems(constant=[], equal=[], identifiers=[], missing={"age": 0.1}, repeats=UNIQUE)
TABLE = replace(AUDITED, table=COLUMNS)
MANY = replace(AUDITED, labels=[0, 1, 2] * 100)


def flagged(text):
    return replace(AUDITED, columns=columns(flags=np.array(["", "", text, "", "", ""], dtype=object)))


def example(n, label, copy=None, group="", given=""):
    grouping = {"dup_group": copy or f"i{n}", "group": group, "given_split": given}
    return {"id": f"i{n}", "row": n, "label": label, "class": "ab"[label], "meta_day": f"2024-01-{n + 1:02}"} | grouping


def written(kept, plan=None, shares=None, moments=None, rare=None, **parts):
    rows = {name: [kept[n] for n in parts[name]] for name in ("train", "val", "test")}
    shares = {"train": 0.6, "val": 0.2, "test": 0.2} if shares is None else shares
    ids = frozenset(e["id"] for e in kept)
    made = Division(
        plan or Plan(0.2, 0.2), rows, kept, Classification(("a", "b")), shares, ids, rare or {}, [], moments or {}
    )
    listed = {name: [{k: row[k] for k in ("id", "row", "label")} for row in part] for name, part in rows.items()}
    return split_checks.Written(listed, made)


def dated(kept, **parts):
    return written(kept, Plan(0.2, 0.2, by="time", column="day"), moments={e["id"]: e["row"] for e in kept}, **parts)


KEPT = [example(n, n % 2, group=f"w{n // 2}") for n in range(10)]
WRITTEN = written(KEPT, train=[0, 1, 2, 3, 4, 5], val=[6, 7], test=[8, 9])
COPIES = [*KEPT[:9], example(9, 1, copy="i0", group="w4")]
LOST = written(KEPT, train=[0, 1, 2, 3, 4], val=[6, 7], test=[8, 9])
TWICE = written(KEPT, train=[0, 1, 2, 3, 4, 5, 6], val=[6, 7], test=[8, 9])
GIVEN = [e | {"given_split": "train" if n < 6 else "val" if n < 8 else "test"} for n, e in enumerate(KEPT)]
BARE = [{k: v for k, v in e.items() if k != "meta_day"} for e in KEPT]
SWAPPED = written(KEPT, train=[0, 1, 2, 3, 4, 6], val=[5, 7], test=[8, 9])

# subject and the one that breaks it, by the check that must notice
PAIRS = {
    "every_example_is_readable": (READING, problem("truncated")),
    "no_example_is_too_large": (READING, problem("too large")),
    "every_file_is_one_picture": (READING, problem("several pictures")),
    "every_value_is_finite": (READING, problem("not finite")),
    "every_split_is_known": (READING, problem("unknown split")),
    "every_label_is_known": (READING, problem("unknown label")),
    "every_class_has_one_spelling": (READING, problem("spelling")),
    "one_shape": (READING, problem("odd shape")),
    "every_row_has_all_its_cells": (READING, problem("ragged row")),
    "columns_have_one_reading": (READING, problem("two readings")),
    "every_column_is_a_feature": (READING, problem("column set aside")),
    "tables_are_read_as_written": (READING, problem("read as")),
    "targets_are_read_as_written": (READING, problem("task")),
    "names_have_one_spelling": (READING, problem("level spelling")),
    "no_number_stands_for_a_gap": (READING, problem("odd value")),
    "metadata_agrees_with_the_files": (READING, problem("row without a file")),
    "reading_is_repeatable": (READING, replace(READING, unrepeatable=1)),
    "examples_are_read_as_stored": (READING, replace(READING, noted={"palette to RGB": 1})),
    "values_fill_their_range": (
        replace(READING, values=DatasetValues(0, 200, 0, 255, 0, 255, given=False, settable=True)),
        replace(READING, values=DatasetValues(0, 2000, 0, 4095, 0, 65535, given=False, settable=True)),
    ),
    "nothing_lies_beside_the_examples": (READING, problem("stray file")),
    "classes_are_at_a_known_level": (READING, problem(problems.CLASS_LEVEL)),
    "every_class_folder_holds_a_file": (READING, problem(problems.NO_EXAMPLE)),
    "names_are_plain": (READING, problem("odd name")),
    "class_names_are_apart": (READING, problem("names alike")),
    "every_input_is_finite": (AUDITED, replace(AUDITED, columns=columns(finite=np.arange(6) > 0))),
    "one_range": (AUDITED, replace(AUDITED, columns=columns(max=np.array([1, 1, 255, 1, 1, 1.0])))),
    "every_class_has_an_example": (AUDITED, replace(AUDITED, columns=columns(label=np.array([0, 1, 1, 0, 1, 0])))),
    "targets_vary": (AGES, replace(AGES, unvaried=["rings"])),
    "quantities_agree": (AGES, replace(AGES, suspects=1)),
    "quantities_have_no_outliers": (AGES, replace(AGES, target_outliers=1)),
    "labels_are_distinct": (AGES, replace(AGES, alike=["`rings` and `age`"])),
    "equal_inputs_have_one_label": (AUDITED, replace(AUDITED, columns=columns(hash=np.array(list("aacdef"))))),
    "classes_are_balanced": (AUDITED, replace(AUDITED, labels=[0] * 10 + [1] * 10 + [2])),
    "no_exact_copies": (AUDITED, flagged("exact copy; other label")),
    "no_near_copies": (AUDITED, flagged("near copy")),
    "no_input_is_blank": (AUDITED, flagged("blank; outlier")),
    "no_outliers": (AUDITED, flagged("blank; outlier")),
    "no_copies_across_given_splits": (AUDITED, replace(AUDITED, columns=columns(dup_group=np.array(list("abcaef"))))),
    "labels_agree": (AUDITED, replace(AUDITED, noise=(0.03, 0.11))),
    "metadata_says_nothing": (AUDITED, replace(AUDITED, metadata=gain("yes"))),
    "given_splits_look_alike": (AUDITED, replace(AUDITED, split=gain("yes"))),
    "no_single_number_tells_a_class": (AUDITED, replace(AUDITED, shortcut=Shortcut((0, 0, 0), 2, 1.0, 6))),
    "columns_say_something": (TABLE, replace(TABLE, table=replace(COLUMNS, constant=["still"], equal=[("a", "b")]))),
    "classes_have_enough_examples": (MANY, replace(AUDITED, labels=[0, 1, 2] * 5)),
    "rows_are_exchangeable": (AUDITED, replace(AUDITED, order_gap=0.72)),
    "nothing_is_lost": (WRITTEN, LOST),
    "no_copies_across_splits": (WRITTEN, written(COPIES, train=[0, 1, 2, 3, 4, 5], val=[6, 7], test=[8, 9])),
    "no_example_is_later_than_the_next_split": (
        dated(KEPT, train=[0, 1, 2, 3, 4, 5], val=[6, 7], test=[8, 9]),
        dated(KEPT, train=[0, 1, 2, 3, 4, 9], val=[6, 7], test=[8, 5]),
    ),
    "no_dates_in_a_random_split": (None, WRITTEN),
    "given_splits_are_obeyed": (
        written(GIVEN, train=[0, 1, 2, 3, 4, 5], val=[6, 7], test=[8, 9]),
        written(GIVEN, Plan(0.2, 0.2, given="ignore"), train=[0, 1, 2, 3, 4, 9], val=[6, 7], test=[8, 5]),
    ),
    "no_group_across_splits": (WRITTEN, SWAPPED),
    "every_class_is_in_every_split": (WRITTEN, written(KEPT, train=[0, 1, 2, 3, 4, 5, 7], val=[6], test=[8, 9])),
    "class_shares_agree": (WRITTEN, written(KEPT, train=[0, 1, 2, 3, 5, 7], val=[4, 6], test=[8, 9])),
    "sizes_are_as_asked": (WRITTEN, written(KEPT, train=[0, 1, 2, 3], val=[4, 5, 6, 7], test=[8, 9])),
}
CHECKS = checks_of(prepare_checks, *audit_checks.CLAIMS, split_checks)


def test_a_class_without_an_example_is_named():
    verdict = CHECKS["every_class_has_an_example"](
        replace(AUDITED, columns=columns(label=np.array([0, 1, 1, 0, 1, 0])))
    )
    assert (verdict.value, verdict.closes) == ("c", True)


def test_every_check_has_its_pair():
    assert set(PAIRS) == set(CHECKS)


@pytest.mark.parametrize("name", PAIRS)
def test_a_healthy_subject_passes_and_a_sabotaged_one_fails(name):
    healthy, broken = PAIRS[name]
    if healthy is None:  # a note that either fails or does not apply
        healthy = written(BARE, train=[0, 1, 2, 3, 4, 5], val=[6, 7], test=[8, 9])
        assert CHECKS[name](healthy).verdict == "skip"
    else:
        assert CHECKS[name](healthy).verdict == "pass"
    assert CHECKS[name](broken).verdict == "fail"


@pytest.mark.parametrize("module", [prepare_checks, *audit_checks.CLAIMS, split_checks, validation])
def test_every_check_says_what_it_claims_and_where_to_look(module):
    for check in checks_of(module).values():
        assert check.fixed["claim"].endswith(".")
        assert len(check.fixed["hint"]) > 40


def test_an_example_in_two_splits_is_noticed():
    assert CHECKS["nothing_is_lost"](TWICE).verdict == "fail"


def test_a_label_that_was_changed_by_hand_is_noticed():
    rows = WRITTEN.parts | {"val": [{"id": "i6", "row": 6, "label": 1}, {"id": "i7", "row": 7, "label": 1}]}
    assert CHECKS["nothing_is_lost"](replace(WRITTEN, parts=rows)).verdict == "fail"


@pytest.mark.parametrize("labels", [[0, None, 2, 0, 1, 2], [0, 0, 2, 0, 1, 2]])
def test_dropping_or_relabelling_settles_equal_inputs(labels):
    decided = replace(AUDITED, columns=columns(hash=np.array(list("aacdef"))), labels=labels)
    assert CHECKS["equal_inputs_have_one_label"](decided).verdict == "pass"


def test_equal_rows_of_a_table_with_other_labels_close_nothing_and_say_what_can_be_reached():
    rows = columns(hash=np.array(list("aaaaef")))
    verdict = CHECKS["equal_inputs_have_one_label"](replace(TABLE, columns=rows, labels=[0, 0, 0, 1, 1, 2]))
    assert (verdict.verdict, verdict.value, verdict.closes) == ("undecided", 1, False)
    assert "4 rows equal a row with another label" in verdict.finding
    assert "wrong on at least 17 %" in verdict.finding  # one of six
    assert "a loss of at least 0.37 nats" in verdict.finding  # -(3 ln 3/4 + ln 1/4) / 6
    assert "Columns that distinguish equal rows would decide" in verdict.needed


def test_rows_of_a_table_are_copies_where_the_columns_do_not_explain_them():
    explained, copied = (replace(UNIQUE, rows=40, distinct=30, expected=e, count=600) for e in (38.0, 0.4))
    judged = [CHECKS["no_exact_copies"](replace(TABLE, table=replace(COLUMNS, repeats=r))) for r in (explained, copied)]
    assert [v.verdict for v in judged] == ["pass", "fail"]


def test_small_classes_are_reported_with_the_width_of_their_interval():
    verdict = CHECKS["classes_have_enough_examples"](replace(AUDITED, labels=[0, 1, 2] * 5))
    assert not verdict.closes
    assert verdict.value == "3 of 3 classes"
    assert "with a median of 5 examples" in verdict.finding
    assert "up to 89 points wide" in verdict.finding


def test_too_few_examples_leave_it_open_whether_metadata_predict():
    verdict = CHECKS["metadata_says_nothing"](replace(AUDITED, metadata=gain("undecided", 0.1)))
    assert verdict.verdict == "undecided"
    assert CHECKS["labels_agree"](replace(AUDITED, noise=(0.01, 0.2))).verdict == "undecided"


def test_bytes_have_one_range_and_a_blank_float_is_no_other_range():
    assert CHECKS["one_range"](replace(AUDITED, floats=False)).verdict == "skip"
    blank = columns(max=np.array([0, 1, 1, 1, 1, 1.0]), std=np.array([0, 1, 1, 1, 1, 1.0]))
    assert CHECKS["one_range"](replace(AUDITED, columns=blank)).verdict == "pass"


def test_no_groups_is_no_claim_about_groups():
    kept = [example(n, n % 2) for n in range(10)]
    verdict = CHECKS["no_group_across_splits"](written(kept, train=[0, 1], val=[2, 3], test=[4, 5]))
    assert verdict.verdict == "skip"


def test_chance_is_no_order():
    for gap in (0.98, 1.02, 1.5):
        assert CHECKS["rows_are_exchangeable"](replace(AUDITED, order_gap=gap)).verdict == "pass"
    few = replace(AUDITED, order_gap=0.8, order_spread=0.1)  # a small file: chance alone does this
    assert CHECKS["rows_are_exchangeable"](few).verdict == "pass"


def test_limits_come_from_conf():
    verdicts = run(
        checks_of(*audit_checks.CLAIMS),
        AUDITED,
        limits={"classes_are_balanced": {"limit": 1.0}},
        where="conf/audit.yaml",
    )
    assert {v.check: v.verdict for v in verdicts}["classes_are_balanced"] == "fail"
    assert not any(v.closes for v in verdicts)  # a note, shown only


def test_a_dropped_copy_crosses_no_splits():
    crossing = columns(dup_group=np.array(list("abcaef")))
    settled = replace(AUDITED, columns=crossing, labels=[0, 1, 2, None, 1, 2])
    assert CHECKS["no_copies_across_given_splits"](settled).verdict == "pass"


@pytest.mark.parametrize(
    ("expected", "hashes", "verdict"),
    [
        (1.0, "xx", "undecided"),  # as often as the columns' few values bring it about
        (0.0, "xx", "fail"),  # an excess: copies
        (1.0, "xy", "fail"),  # nearly equal, which few values do not explain
    ],
)
def test_equal_rows_across_given_splits_close_the_gate_where_the_columns_do_not_explain_them(expected, hashes, verdict):
    kept = [example(n, n % 2, copy="c" if n in (5, 7) else None) for n in range(10)]
    kept = [e | {"hash": hashes[(5, 7).index(e["row"])] if e["dup_group"] == "c" else e["id"]} for e in kept]
    subject = replace(
        written(kept, train=[0, 1, 2, 3, 4, 5], val=[6, 7], test=[8, 9]),
        repeats=Repeats(rows=4, distinct=1, most=2, expected=expected, count=100),
    )
    measured = CHECKS["no_copies_across_splits"](subject)
    assert measured.verdict == verdict
    assert ("4 rows of this table equal an earlier one, and about 1 are expected" in measured.needed) == (
        verdict == "undecided"
    )


@pytest.mark.parametrize(
    ("plain", "balanced", "needed"),
    [
        ((-0.1, 0.2), (-0.1, 0.3), "The gain in accuracy has a 95 % CI of -0.10 to +0.20. About "),
        ((-0.1, -0.01), (-0.1, 0.3), "The gain in balanced accuracy has a 95 % CI of -0.10 to +0.30. About "),
        ((0.0, 0.0), (0.0, 0.0), "With fewer than 400 independent examples a gain of 0.05 is not ruled out."),
    ],
)
def test_an_undecided_bias_says_which_gain_leaves_it_open(plain, balanced, needed):
    gain = ColumnGain("brightness", 0.5, 0.5, sum(plain) / 2, *plain, sum(balanced) / 2, *balanced, "undecided", 100)
    verdict = CHECKS["metadata_says_nothing"](replace(AUDITED, metadata=gain))
    assert verdict.verdict == "undecided"
    assert verdict.needed.startswith(needed)


def test_what_was_not_measured_is_skipped():
    nothing = replace(AUDITED, noise=None, metadata=None, split=None, shortcut=None, table=None)
    names = ("labels_agree", "metadata_says_nothing", "given_splits_look_alike")
    for name in (*names, "no_single_number_tells_a_class", "columns_say_something"):
        assert CHECKS[name](nothing).verdict == "skip", name
    alone = replace(AUDITED, columns=columns(given_split=np.array([""] * 6)))
    assert CHECKS["no_copies_across_given_splits"](alone).verdict == "skip"
