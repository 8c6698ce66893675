"""What predictions of each task say: columns, decisions, doubts, and proposals that decisions.csv can hold."""

import pytest
import torch

from recipe.serve.predict import Prediction
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression

CLASSES = Classification(("cat", "dog", "owl")).answers()
LABELS = Multilabel(("sun", "sea", "snow")).answers()
AGES = Regression(("age", "price"), "years", (40.0, 3.0), (10.0, 2.0)).answers((5.0, 1.0))


def of(*rows) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_classes_have_the_most_probable_one_and_all_probabilities():
    p = of([0.7, 0.2, 0.1], [0.1, 0.3, 0.6])
    assert CLASSES.columns(p) == {
        "predicted": ["cat", "owl"], "confidence": [0.7, 0.6], "p_cat": [0.7, 0.1], "p_dog": [0.2, 0.3],
        "p_owl": [0.1, 0.6],
    }  # fmt: skip
    assert list(CLASSES.columns(p)) == list(CLASSES.meanings)
    assert CLASSES.lines(p[0]) == ["cat   70.0%", "dog   20.0%", "owl   10.0%"]
    assert CLASSES.wrong(p, torch.tensor([0, 1])).tolist() == [False, True]
    assert CLASSES.captions(p, torch.tensor([0, 1])) == ["cat → cat  70%", "dog → owl  60%"]


def test_labels_are_decided_one_by_one():
    p, given = of([0.9, 0.5, 0.1], [0.2, 0.3, 0.4]), of([1, 1, 0], [0, 0, 1])
    assert LABELS.columns(p)["predicted"] == ["sun; sea", ""]
    assert LABELS.columns(p)["p_snow"] == [0.1, 0.4]
    assert LABELS.wrong(p, given).tolist() == [False, True]
    assert LABELS.right(p, given).tolist() == [1.0, 0.0]
    assert LABELS.captions(p, of([0, 1, 1], [0, 0, 1])) == ["+ sun − snow", "− snow"]
    details = {name: values for name, (_, values) in LABELS.details(p, given).items()}
    assert details == {"not given": ["", ""], "not predicted": ["", "snow"], "p_label": [0.5, 0.4]}
    assert LABELS.shown(given) == ["sun; sea", "snow"]


def test_labels_that_are_contradicted_with_confidence_are_proposed_the_other_way_round():
    p, given = of([0.95, 0.6, 0.03]), of([0, 0, 1])
    assert LABELS.doubted(p, given, trained_on=False).tolist() == [True]
    assert LABELS.doubted(of([0.85, 0.1, 0.9]), given, trained_on=False).tolist() == [False]
    assert LABELS.doubted(of([0.85, 0.1, 0.9]), given, trained_on=True).tolist() == [True]
    label, reason = LABELS.proposal(p[0], given[0])
    assert label == "sun; sea"
    assert reason == "the ensemble predicts sun with probability 95.0%, sea with probability 60.0%, snow with " \
        "probability 3.0%"  # fmt: skip


def test_quantities_have_intervals_in_their_unit():
    p, true = of([42.0, 3.0], [60.0, 9.5]), of([40.0, 3.5], [40.0, 9.0])
    columns = AGES.columns(p)
    assert list(columns) == list(AGES.meanings)
    assert (columns["low_age"], columns["high_age"]) == ([37.0, 55.0], [47.0, 65.0])
    assert columns["predicted_age"] == [42.0, 60.0]
    assert AGES.lines(p[0]) == ["age    42 years  (90 % interval 37 to 47)", "price  3 years  (90 % interval 2 to 4)"]
    assert AGES.wrong(p, true).tolist() == [False, True]
    assert AGES.doubted(p, true, trained_on=False).tolist() == [False, True]
    assert AGES.right(p, true) is None
    label, reason = AGES.proposal(p[1], true[1])
    assert label == "60;9.0"  # the price is not in doubt: its exact value
    assert reason == "the ensemble predicts age 60 years, the label is 40 years"
    assert AGES.targets(true) == {"true age": [40.0, 40.0], "true price": [3.5, 9.0]}


# names that columns of tables of predictions have, and names that differ from others by what is put before or behind
NAMES = (
    "name", "unlike", "problem", "id", "agreement", "loss", "label", "predicted", "confidence", "p_label", "x", "x_low",
    "low_x", "predicted_x", "high_predicted_x", "true x", "p_x",
)  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (Classification(NAMES).answers(), len(NAMES) + 2),
        (Multilabel(NAMES).answers(), len(NAMES) + 1),
        (Regression(NAMES, "", (0.0,) * len(NAMES), (1.0,) * len(NAMES)).answers((1.0,) * len(NAMES)), 3 * len(NAMES)),
    ],
    ids=["classes", "labels", "quantities"],
)
def test_no_name_of_a_target_is_another_column_of_a_table_of_predictions(answers, expected):
    columns = answers.columns(torch.full((1, len(NAMES)), 1.0, dtype=torch.float64))
    assert len(columns) == len(answers.meanings) == expected
    assert len(Prediction("", None).row(answers)) == expected + len(("name", "unlike", "problem"))
    of_test = {"id", "label", "agreement", "loss", "loss of constant", "predicted by constant"}  # predictions.parquet
    assert not set(columns) & (of_test | {f"true {name}" for name in NAMES})


@pytest.mark.parametrize("answers", [CLASSES, LABELS], ids=["classes", "labels"])
def test_agreement_is_the_share_of_the_members_that_decide_alike(answers):
    a, b = of([0.9, 0.1, 0.1]), of([0.1, 0.9, 0.1])
    expected = 0.75 if answers is CLASSES else 0.75 + 0.25 / 3
    assert answers.agreement(torch.stack([a, b]), [3, 1], a).tolist() == pytest.approx([expected])
    assert answers.agreement(torch.stack([a] * 10), [1] * 10, a).tolist() == [1.0]


def test_agreement_of_quantities_is_the_spread_of_the_members():
    members = torch.stack([of([30.0, 3.0]), of([50.0, 3.0])])
    assert AGES.agreement(members, [1, 1], of([40.0, 3.0])).tolist() == [0.5]  # ten years are one, and zero
