"""Questions about columns: planted answers are found, and noise gets none."""

import numpy as np
import pytest

from recipe.stages.audit.probes.results import FEWEST
from recipe.stages.audit.probes.table_questions import run_column_probes
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression

NAMES = ["a", "b", "c", "d=x", "d=y"]
YES_NO = Classification(("no", "yes"))


def rows(n: int = 600, seed: int = 0) -> np.ndarray:
    """Three numbers, and a column of names."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, 5)).astype(np.float32)
    x[:, 3] = x[:, 3] > 0
    x[:, 4] = 1 - x[:, 3]
    return x


def verdicts(x, actual, task, seed=0, groups=None) -> dict[str, str]:
    strata = (actual if actual.ndim == 1 else actual[:, 0] > np.median(actual[:, 0])).astype(int).tolist()
    groups = [str(i) for i in range(len(x))] if groups is None else groups
    return {p.factor or p.probe: p.verdict for p in run_column_probes(x, actual, strata, groups, NAMES, task, seed)}


def test_of_an_exclusive_or_the_interaction_is_everything():
    x = rows()
    found = verdicts(x, ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(int), YES_NO)
    assert found == {"interaction": "yes", "a": "yes", "b": "yes", "c": "no", "d": "no"}


def test_a_sum_needs_no_interaction_and_names_are_one_column():
    x = rows()
    quantity = 2 * x[:, [0]] + np.abs(x[:, [1]]) + 3 * x[:, [3]] + 0.3 * np.random.default_rng(1).normal(size=(600, 1))
    found = verdicts(x, quantity, Regression(("y",)))
    assert found == {"interaction": "no", "a": "yes", "b": "yes", "c": "no", "d": "yes"}


def test_of_several_labels_all_count():
    x = rows()
    labels = np.stack([x[:, 0] > 0, x[:, 2] > 1], 1).astype(np.float32)
    found = verdicts(x, labels, Multilabel(("p", "q")))
    assert (found["a"], found["b"], found["c"]) == ("yes", "no", "yes")


@pytest.mark.parametrize("seed", range(2))
def test_noise_decides_nothing(seed):
    found = verdicts(rows(seed=seed), np.random.default_rng(seed + 9).integers(0, 2, 600), YES_NO, seed)
    assert set(found.values()) == {"undecided"}


def test_copies_in_other_folds_do_not_pretend_a_signal():
    """Each of 60 rows ten times, with labels by chance: within groups there is nothing to be learned."""
    x, labels = np.repeat(rows(60), 10, 0), np.repeat(np.random.default_rng(3).integers(0, 2, 60), 10)
    groups = [str(i // 10) for i in range(600)]
    assert set(verdicts(x, labels, YES_NO, groups=groups).values()) == {"undecided"}


def test_the_same_seed_gives_the_same_bits_and_few_rows_nothing():
    x = rows()
    labels = (x[:, 0] > 0).astype(int)
    strata, groups = labels.tolist(), [str(i) for i in range(600)]
    one, other = (run_column_probes(x, labels, strata, groups, NAMES, YES_NO, 5) for _ in range(2))
    assert one == other
    few = run_column_probes(x[: FEWEST - 1], labels[: FEWEST - 1], strata, groups, NAMES, YES_NO, 5)
    assert {p.value for p in few} == {None}
    assert "200 are needed" in few[0].sentence
