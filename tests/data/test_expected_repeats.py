"""Rows that repeat: those that few rounded columns explain are no finding, copies are; and what equal rows allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.checks.repeated_rows import rows_repeat
from recipe.data.expected_repeats import count_repeats, row_codes
from recipe.metrics.repeated_inputs import error_floor
from recipe.verdict import FAIL, PASS, UNDECIDED


def rounded(seed, rho, columns, decimals, n=1500):
    chance = np.random.default_rng(seed)
    common = chance.normal(size=(n, 1))
    return np.round(np.sqrt(rho) * common + np.sqrt(1 - rho) * chance.normal(size=(n, columns)), decimals)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.85), st.integers(3, 10), st.integers(0, 1))
def test_rows_of_rounded_columns_that_hang_together_repeat_by_nature(seed, rho, columns, decimals):
    result = count_repeats(rounded(seed, rho, columns, decimals))
    assert not result.excess, result


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.7), st.integers(3, 10))
def test_copies_are_more_than_the_columns_explain(seed, rho, columns):
    rows = rounded(seed, rho, columns, 2)
    result = count_repeats(np.concatenate([rows, rows[:150]]))
    assert result.excess, result
    assert not result.doubled


def test_copies_of_measurements_do_not_explain_themselves():
    rows = np.random.default_rng(0).normal(size=(1000, 6))
    result = count_repeats(np.concatenate([rows, rows[:30]]))
    assert (result.rows, result.expected, result.excess) == (30, 0.0, True)


def test_a_table_that_was_read_twice_closes_the_gate_and_some_copies_do_not():
    rows = np.random.default_rng(0).normal(size=(500, 6))
    assert rows_repeat(count_repeats(np.concatenate([rows, rows])), gate=True).verdict == FAIL
    some = count_repeats(np.concatenate([rows, rows[:50]]))
    assert rows_repeat(some, gate=True).verdict == UNDECIDED
    assert rows_repeat(some, gate=False).verdict == FAIL  # a note
    assert rows_repeat(count_repeats(rows), gate=True).verdict == PASS


def test_one_row_that_means_not_measured_is_reported():
    chance = np.random.default_rng(0)
    rows = np.concatenate([chance.normal(size=(700, 6)), np.zeros((300, 6))])
    result = count_repeats(rows)
    assert (result.rows, result.distinct, result.most, result.excess) == (299, 1, 300, True)
    assert "One row alone occurs 300 times" in rows_repeat(result, gate=True).needed


def test_missing_values_are_equal_to_each_other():
    assert count_repeats(np.array([[np.nan, 1.0], [np.nan, 1.0], [2.0, np.nan]])).rows == 1


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.zeros((1, 3)), np.zeros((5, 1)), np.arange(6).reshape(6, 1)])
def test_small_tables_are_counted_too(values):
    assert count_repeats(values).rows == max(0, len(values) - len(np.unique(values, axis=0)))


# ---- what equal rows allow -------------------------------------------------------------------------------------------


def test_the_lowest_error_and_loss_follow_from_equal_rows():
    rows = np.array([[1, 2], [1, 2], [1, 2], [1, 2], [3, 4], [5, 6]])
    result = error_floor(row_codes(rows), np.array([0, 0, 0, 1, 1, 0]))
    assert (result.sets, result.examples) == (1, 4)
    assert result.error == pytest.approx(1 / 6)
    assert result.loss == pytest.approx(-(3 * np.log(0.75) + np.log(0.25)) / 6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=60))
def test_no_function_of_the_input_is_better_than_the_limits(pairs):
    inputs, labels = (np.array(part) for part in zip(*pairs, strict=True))
    result = error_floor(inputs, labels)
    errors, losses = [], []
    for x in set(inputs):
        counts = np.bincount(labels[inputs == x])
        errors.append(counts.sum() - counts.max())
        losses += [-n * np.log(n / counts.sum()) for n in counts if n]
    assert result.error == pytest.approx(sum(errors) / len(labels))
    assert result.loss == pytest.approx(sum(losses) / len(labels), abs=1e-12)
