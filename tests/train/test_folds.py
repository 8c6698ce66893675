"""Folds of a cross-validation: each lane trains and is evaluated on the examples of its fold."""

from dataclasses import replace

import pytest
import torch
from lanes import MODELS, bits, lane, parts
from made_data import DATA

from recipe.train import engine

TRAIN, VAL = parts()


def fold(first: int, last: int):
    """The examples first to last as validation, the others as training."""
    x, y = torch.cat([TRAIN.x, VAL.x]), torch.cat([TRAIN.y, VAL.y])
    held_out = torch.zeros(len(y), dtype=torch.bool)
    held_out[first:last] = True
    splits = [replace(TRAIN, x=x[rows], y=y[rows], ids=[""] * int(rows.sum())) for rows in (~held_out, held_out)]
    return replace(DATA, train=splits[0], val=splits[1])


FOLDS = [fold(0, 60), fold(60, 130)]
make = MODELS["mlp"] if isinstance(MODELS, dict) else MODELS[0]


def train(lanes, train, val, mode="auto", **more):
    return engine.train(lanes, train, val, eval_every=10, mode=mode, **more)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["plain", "batched"])
def test_a_lane_of_a_fold_is_the_training_on_its_examples(mode):
    mixed = [replace(lane(make, seed=s), fold=FOLDS[s % 2]) for s in range(4)]
    together = train(mixed, TRAIN, VAL, mode)
    for s, result in enumerate(together):
        others = [lane(make, seed=o) for o in range(4) if o % 2 == s % 2]
        alone = train(others, FOLDS[s % 2].train, FOLDS[s % 2].val, mode)[s // 2]
        assert bits(result) == bits(alone)


def test_lanes_of_different_folds_wait_for_each_other_at_a_rung():
    seen = []

    def judge(step, known):
        seen.append((step, [row.curve[-1]["step"] for row in known]))
        return {0: "the worst"}

    mixed = [replace(lane(make, seed=s), fold=FOLDS[s % 2]) for s in range(2)]
    results = train(mixed, TRAIN, VAL, rungs=[1], judge=judge)
    assert seen == [(1, [10, 10])]
    assert results[0].ended == "the worst"
    assert results[1].curve[-1]["step"] > 10
