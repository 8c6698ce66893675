"""Which examples a pass shows: each class equally often, over lanes as in the plain loop; the checks see it too."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import MODELS, bits, lane, parts
from made_data import DATA

from recipe.config.changes import change
from recipe.config.compose import compose
from recipe.data.batches import Split
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.rng import generator
from recipe.stages.regularize.ablation import too_even
from recipe.stages.setup_from_config import setup_from
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression
from recipe.train import engine, order
from recipe.train.sampler import balanced, completed, plain

BALANCED = {"sampler": {"_target_": "recipe.train.sampler.balanced", "_partial_": True}}


@given(st.lists(st.integers(1, 40), min_size=2, max_size=5), st.integers(0, 20))
@settings(deadline=None)
def test_a_pass_is_as_long_as_before_and_has_each_class_equally_often(counts, seed):
    classes = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    sampler = balanced(Classification(tuple("abcde"[: len(counts)])), classes)
    drawn = sampler(torch.arange(len(classes)), generator(seed, "order", 0))
    shown = torch.bincount(classes[drawn], minlength=len(counts))
    assert len(drawn) == len(classes)
    assert shown.max() - shown.min() <= 1
    for c in range(len(counts)):  # all of a class before one of it again
        times = torch.bincount(drawn[classes[drawn] == c], minlength=len(classes))[classes == c]
        assert times.max() - times.min() <= 1


def test_the_order_is_a_function_of_its_arguments_and_stays_within_the_share():
    classes = torch.tensor([0] * 90 + [1] * 10)
    sampler = balanced(Classification(("a", "b")), classes)
    whole = order.batches(100, 8, 3, 0, 40, sampler=sampler)
    assert order.batches(100, 8, 3, 7, 40, sampler=sampler).equal(whole[7:])
    assert not order.batches(100, 8, 4, 0, 40, sampler=sampler).equal(whole)
    assert classes[whole].float().mean().item() == pytest.approx(0.5, abs=0.02)
    half = set(order.subset(100, 0.5, 3).tolist())
    assert set(order.batches(100, 8, 3, 0, 40, 0.5, sampler).flatten().tolist()) <= half


def test_over_lanes_it_is_the_plain_loop():
    train, val = parts(dtype=torch.float64)
    digits = Classification(tuple("0123456789"))

    def lanes():
        samplers = [balanced(digits, (train.y < 2).long()), None, balanced(digits, train.y)]
        return [lane(MODELS["mlp"], 1, dtype=torch.float64, steps=20, sampler=s) for s in samplers]

    alone, together = (engine.train(lanes(), train, val, eval_every=10, mode=m) for m in ("plain", "batched"))
    for a, b in zip(alone, together, strict=True):
        assert [r["val_loss"] for r in a.curve] == pytest.approx([r["val_loss"] for r in b.curve], abs=1e-12)
    assert len({str(bits(t)[0]) for t in together}) == 3  # each lane has its own order


def test_a_sampler_that_gives_another_number_is_one_message():
    with pytest.raises(RecipeError, match=r"a pass over 10 examples must have as many, and it has .3,."):
        order.batches(10, 2, 0, 0, 3, sampler=lambda examples, generator: examples[:3])
    with pytest.raises(RecipeError, match="gave a str, not a function"):
        completed(lambda task, y: "first", Classification(("a", "b")), torch.tensor([0, 1]))


def test_only_classes_can_be_balanced():
    with pytest.raises(RecipeError, match="each class equally often, and the task is regression"):
        balanced(Regression(("age",)), torch.zeros(5, 1))
    assert plain(Regression(("age",)), torch.zeros(5, 1)) is None


# ---- in the pipeline ---------------------------------------------------------------------------------------------


def uneven() -> SimpleNamespace:
    """300 digits of two classes, 0 and any other one, 12 to 1."""
    zero = DATA.train.y == 0
    index = torch.cat([(~zero).nonzero()[:276, 0], zero.nonzero()[:23, 0]])
    y = zero.long()[index]
    val = DATA.val.y == 0
    return dataclasses.replace(
        DATA, train=Split(DATA.train.x[index], y, [""] * len(y)), val=Split(DATA.val.x, val.long(), [""] * len(val)),
        task=Classification(("other", "zero")),
    )  # fmt: skip


def test_conf_names_it_and_a_lane_has_it():
    cfg, data = compose("overfit"), uneven()
    assert build.lane(cfg, data, 0).sampler is None
    sampler = build.lane(cfg, data, 0, BALANCED).sampler
    drawn = sampler(torch.arange(len(data.train)), generator(0))
    assert data.train.y[drawn].float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_the_checks_see_what_a_pass_shows_and_that_it_is_resampled():
    cfg, data = compose("baseline"), uneven()
    plain, resampled = (setup_from(c, data) for c in (cfg, change(cfg, BALANCED)))
    assert (plain.declare.resampled_train, resampled.declare.resampled_train) == (False, True)
    shares = [setup.train_tensors[1].float().mean().item() for setup in (plain, resampled)]
    assert shares == pytest.approx([23 / 299, 0.5], abs=0.01)


def test_a_candidate_for_imbalance_is_not_tried_where_classes_are_even():
    assert too_even(uneven(), 5) == too_even(DATA, None) == ""
    assert "even: the largest has" in too_even(DATA, 5)
    quantities = dataclasses.replace(DATA, task=Regression(("age",)))
    assert too_even(quantities, 5) == "the task is regression, and has no classes or labels"
    labels = dataclasses.replace(DATA, task=Multilabel(("a", "b")))
    y = torch.zeros(100, 2)
    y[:50, 0] = y[:30, 1] = 1
    even = dataclasses.replace(labels, train=Split(DATA.train.x[:100], y, []))
    assert "the labels are even: a value of one has at most 2.3 times the examples" in too_even(even, 5)
    assert too_even(even, 2) == ""
