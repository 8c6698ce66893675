"""Columns that predict a quantity or a label: planted shortcuts are named, healthy twins are not."""

import numpy as np
import pytest

from recipe.stages.audit.bias import ORDER
from recipe.stages.audit.explained import explained

N = 1200


def healthy(count=N, seed=0):
    """(a quantity with a long tail, columns that know nothing of it)"""
    rng = np.random.default_rng(seed)
    columns = {
        "brightness": rng.normal(size=count),
        "file size": rng.integers(800, 4000, count),
        "site": rng.choice(["north", "south", "east"], count),
        ORDER: np.arange(count),
    }
    return rng.lognormal(size=count), columns


def measured(columns, **targets):
    count = len(next(iter(targets.values())))
    return explained(columns, targets, [(0,)] * count, [str(i) for i in range(count)], seed=0)


@pytest.mark.parametrize("seed", range(3))
def test_healthy_columns_explain_nothing(seed):
    y, columns = healthy(seed=seed)
    found = measured(columns, y=np.argsort(np.argsort(y)))
    assert [g.verdict for g in found.columns] == ["no"] * 4
    assert found.predictive() == []
    assert found.chance < 0.03
    assert all(g.low <= g.share <= g.high for g in found.columns)


@pytest.mark.parametrize("column", ["brightness", "site", ORDER])
def test_a_planted_shortcut_is_named_first(column):
    y, columns = healthy()
    ranks = np.argsort(np.argsort(y)) / N
    if column == "brightness":
        columns[column] = columns[column] + 3 * ranks
    elif column == "site":
        columns[column] = np.where(ranks > 0.7, "north", columns[column])
    else:
        order = np.argsort(y + np.random.default_rng(1).lognormal(size=N))
        ranks, columns = ranks[order], {name: values[order] for name, values in columns.items()} | {ORDER: np.arange(N)}
    found = measured(columns, y=ranks)
    assert found.columns[0].column == column
    assert found.columns[0].verdict == "yes"
    assert [g.verdict for g in found.columns[1:]] == ["no"] * 3
    assert len(found.predictive()) == 1
    assert ("never split it into blocks" in found.predictive()[0]) == (column == ORDER)


def test_the_label_that_a_column_predicts_best_is_named():
    _, columns = healthy()
    rng = np.random.default_rng(0)
    red = (columns["site"] == "north") & (rng.random(N) < 0.8)
    found = measured(columns, blue=rng.integers(0, 2, N), red=red.astype(int), none=np.zeros(N))
    assert (found.columns[0].column, found.columns[0].of) == ("site", "red")
    assert found.columns[0].effect.startswith("it explains")
    assert "of the variance of `red`" in found.predictive()[0]


def test_few_examples_decide_nothing():
    y, columns = healthy(60)
    assert {g.verdict for g in measured(columns, y=y).columns} == {"undecided"}


def test_what_does_not_vary_is_not_tested():
    _, columns = healthy(60)
    assert measured(columns, y=np.ones(60)) is None
    assert measured({}, y=np.arange(60)) is None
