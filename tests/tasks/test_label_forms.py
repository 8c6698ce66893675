"""The label of an example: what files hold is exact, what a person writes is read, what is no label is named."""

import csv
import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recipe.problems import UNKNOWN_LABEL, BadExample
from recipe.tasks.classification import Classification
from recipe.tasks.labels import ClassNumbers, LabelSets, Quantities
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.read import task_of
from recipe.tasks.regression import Regression

NAMES = ("a", "b, c", "d e")
FORMS = {
    ClassNumbers(NAMES): st.integers(0, 2),
    LabelSets(NAMES): st.tuples(*[st.integers(0, 1)] * 3),
    Quantities(NAMES): st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3),
}


def in_csv(value) -> str:
    """A cell as it is written and read back."""
    file = io.StringIO()
    csv.writer(file).writerow(["id", value])
    return next(csv.reader(io.StringIO(file.getvalue())))[1]


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_what_files_hold_is_the_label_to_the_last_bit(form, data):
    label = data.draw(FORMS[form])
    given = label if isinstance(label, int) else list(label)
    for value in (given, np.array(given), torch.from_numpy(np.array(given))):
        assert form.read(value) == label
    stored = form.stored(form.read(given))
    for text in (stored, in_csv(stored)):
        again = form.parsed(text)
        assert repr(again) == repr(label)  # -0.0 and 0.0 are equal, their texts are not
        assert form.stored(again) == stored


@given(st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=1))
def test_labels_that_a_person_writes_as_they_are_shown_are_the_same(labels):
    form = LabelSets(NAMES)
    assert [form.decided(form.shown(label)) for label in labels] == labels
    assert form.tensor(labels).tolist() == [list(map(float, label)) for label in labels]


@given(st.lists(st.tuples(*[st.floats(-1e30, 1e30)] * 3), min_size=1))
def test_quantities_that_a_person_writes_are_the_same(labels):
    form = Quantities(NAMES, "kg")
    assert [form.decided(form.stored(label)) for label in labels] == labels
    assert form.tensor(labels).tolist() == [list(label) for label in labels]


@pytest.mark.parametrize(
    ("form", "value", "detail"),
    [
        (ClassNumbers(NAMES), 3, "label 3; known are the whole numbers 0 to 2"),
        (ClassNumbers(NAMES), None, "no label"),
        (LabelSets(NAMES), [1, None, 0], "no value for the label `b, c`"),
        (LabelSets(NAMES), [1, 0, 2], "the label `d e` is 2, neither 0 nor 1"),
        (LabelSets(NAMES), [1, 0], "label '[1, 0]'; it must be 3 values: a, b, c, d e"),
        (LabelSets(NAMES), "a;x", "label 'a;x'; known are a, b, c, d e"),
        (LabelSets(NAMES), ["a", "x"], "label 'a;x'; known are a, b, c, d e"),
        (Quantities(("y",)), math.nan, "`y` is nan, which is not a finite number"),
        (Quantities(("y",)), -math.inf, "`y` is -inf, which is not a finite number"),
        (Quantities(("y",)), None, "no label"),
        (Quantities(("y", "z")), [1.0, None], "no value of `z`"),
        (Quantities(("y", "z")), [1.0, "tall"], "`z` is 'tall', which is not a number"),
        (Quantities(("y",)), True, "`y` is 'True', which is not a number"),
        (Quantities(("y", "z")), 1.0, "label '1.0'; it must be 2 values: y, z"),
    ],
)
def test_what_is_no_label_is_named(form, value, detail):
    with pytest.raises(BadExample) as raised:
        form.read(value)
    kind, text = raised.value.args
    assert kind == UNKNOWN_LABEL
    assert text == detail


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        (LabelSets(NAMES), "a; x", "no label `x`; there are a, b, c, d e, joined by `;`"),
        (Quantities(("y",)), "tall", "it must be a number, as in 9.5"),
        (Quantities(("y",)), "nan", "it must be a number, as in 9.5"),
        (Quantities(("y", "z")), "1", "it must be a number for each of y, z, joined by `;`, as in 9.5;9.5"),
    ],
)
def test_a_wrong_decision_says_what_may_be_written(form, text, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011  its message is compared
        form.decided(text)
    assert str(raised.value) == message


def test_an_example_without_labels_is_shown_and_decided_as_nothing():
    form = LabelSets(NAMES)
    assert (form.shown((0, 0, 0)), form.decided("")) == ("", (0, 0, 0))


@pytest.mark.parametrize("task", [Classification(NAMES), Multilabel(NAMES), Regression(NAMES, "kg")])
def test_a_task_is_read_back_from_its_facts_and_takes_other_names(task):
    assert task_of(task.facts()) == task
    assert task.with_names(["x", "y"]).names == ("x", "y")
    assert type(task.with_names(["x", "y"])) is type(task)


def test_quantities_enter_the_loss_standardised_and_come_back():
    actual = torch.tensor([[1.0, 5.0], [3.0, 5.0], [8.0, 5.0]], dtype=torch.float64)
    task = Regression(("y", "z")).scaled(actual)
    y = task.targets(actual)
    assert y.dtype == torch.float32
    assert y.mean(0).abs().max() < 1e-6
    assert y[:, 0].std(unbiased=False).item() == pytest.approx(1, abs=1e-6)
    assert y[:, 1].tolist() == [0, 0, 0]  # constant
    assert torch.allclose(task.actual(y), actual, atol=1e-6)
