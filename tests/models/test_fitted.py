"""The models that scikit-learn fits to a table, for every task."""

import numpy as np
import pytest
import torch

from recipe.models.fitted import fit_boosting, fit_linear, fit_table
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression

X = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))


def test_probabilities_are_those_of_scikit_learn():
    from sklearn.ensemble import HistGradientBoostingClassifier

    y = (X[:, 0] > 0).long() + (X[:, 1] > 0.5).long()
    p = fit_boosting(Classification(("a", "b", "c")), X, y, 0).predict(X)
    known = HistGradientBoostingClassifier(random_state=0).fit(X.numpy(), y.numpy()).predict_proba(X.numpy())
    assert p.numpy() == pytest.approx(known)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_class_without_an_example_has_no_probability(missing):
    present = [c for c in range(3) if c != missing]
    y = torch.tensor([present[int(v > 0)] for v in X[:, 0]])
    p = fit_boosting(Classification(("a", "b", "c")), X, y, 0).predict(X)
    assert p.shape == (300, 3)
    assert p[:, missing].abs().max() == 0
    assert p.sum(1).numpy() == pytest.approx(1)
    assert p.argmax(1).equal(y)


def test_each_label_has_its_trees_and_one_that_never_varies_has_none():
    y = torch.stack([(X[:, 0] > 0).float(), torch.zeros(300), torch.ones(300)], 1)
    p = fit_boosting(Multilabel(("a", "never", "always")), X, y, 0).predict(X)
    assert ((p[:, 0] > 0.5) == (y[:, 0] > 0.5)).all()
    assert p[:, 1].unique().tolist() == [0.0]
    assert p[:, 2].unique().tolist() == [1.0]


def test_quantities_are_in_their_unit():
    q = torch.stack([100 + 20 * X[:, 0], 0.01 * X[:, 1]], 1).double()
    task = Regression(("a", "b")).scaled(q)
    p = fit_boosting(task, X, task.targets(q), 0).predict(X)
    assert np.corrcoef(p[:, 0], q[:, 0])[0, 1] > 0.95
    assert p.mean(0).numpy() == pytest.approx(q.mean(0).numpy(), rel=0.05, abs=2e-3)


def test_the_outputs_of_predictions_give_them_back():
    for task in (
        Classification(("a", "b")),
        Multilabel(("a", "b")),
        Regression(("a", "b"), "", (3.0, 0.0), (2.0, 9.0)),
    ):
        p = torch.tensor([[0.25, 0.75], [0.9, 0.1]], dtype=torch.float64)
        assert task.predict(task.outputs_of(p)).numpy() == pytest.approx(p.numpy())


def test_the_ridge_is_that_of_scikit_learn_in_the_unit_of_the_quantity():
    from sklearn.linear_model import RidgeCV

    noise = torch.randn(300, generator=torch.Generator().manual_seed(1))
    q = (100 + 20 * X[:, 0] + 30 * noise).double()[:, None]
    task = Regression(("a",)).scaled(q)
    p = fit_linear(task, X, task.targets(q)).predict(X)
    known = RidgeCV(np.geomspace(1e-3, 1e4, 15)).fit(X.numpy(), q[:, 0].numpy()).predict(X.numpy())
    assert p[:, 0].numpy() == pytest.approx(known, rel=1e-4)


def test_each_task_has_its_linear_model_before_its_trees():
    y = (X[:, 0] > 0).long()
    names = list(fit_table(Classification(("a", "b")), X, y, 0))
    assert names == ["logistic regression", "gradient boosting"]
    task = Regression(("a",)).scaled(X[:, :1])
    assert next(iter(fit_table(task, X, task.targets(X[:, :1]), 0))) == "ridge regression"
    p = fit_linear(Multilabel(("a", "b")), X, torch.stack([y.float(), 1 - y.float()], 1)).predict(X)
    assert p.sum(1).numpy() == pytest.approx(1, abs=1e-6)
