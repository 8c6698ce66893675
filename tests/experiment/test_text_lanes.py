"""Word dropout: of words alone, and in lanes as in the plain loop."""

import pytest
import torch
from clone import ROOT
from made_data import DATA, TABLE, TEXTS
from omegaconf import OmegaConf

from recipe import rng
from recipe.config.changes import change
from recipe.config.compose import compose
from recipe.data.tokens import PADDING, UNKNOWN
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.stages.regularize import ablation
from recipe.train import engine
from recipe.train.augment import Flip, apply
from recipe.train.word_dropout import WordDropout

DROPOUT = {"_target_": "recipe.train.word_dropout.WordDropout", "share": 0.3}


def key(seed: int) -> torch.Tensor:
    return rng.keys([seed], "augment")[0]


def test_a_share_of_the_words_is_unknown_and_padding_stays():
    x = torch.arange(2, 402).repeat(50, 1)
    x[:, 300:] = PADDING
    changed = apply(WordDropout(0.25, length=400), x, key(0))
    assert changed[:, 300:].equal(x[:, 300:])
    assert (changed[:, :300] == UNKNOWN).double().mean().item() == pytest.approx(0.25, abs=0.01)
    assert changed[changed > UNKNOWN].equal(x[(changed > UNKNOWN)])
    assert not changed[0].equal(changed[1])
    assert apply(WordDropout(0.0, length=400), x, key(0)).equal(x)


def test_what_takes_other_inputs_or_strengths_is_a_message():
    for wrong, x, message in (
        (WordDropout(0.1, length=8), torch.zeros(2, 1, 8, 8), r"WordDropout takes tokens \(L,\)"),
        (Flip(), torch.zeros(2, 8, dtype=torch.long), r"Flip takes images"),
    ):
        with pytest.raises(RecipeError, match=message):
            apply(wrong, x, key(0))
    with pytest.raises(RecipeError, match=r"`share: 1\.5`, which must be from 0 to 1"):
        WordDropout(1.5)


def test_each_kind_of_input_has_its_own_augmentation():
    cfg = compose("regularize", ROOT)
    assert [build.can_augment(cfg, data) for data in (DATA, TEXTS, TABLE)] == [True, False, False]
    cfg = change(cfg, {"augment": DROPOUT})
    assert [build.can_augment(cfg, data) for data in (DATA, TEXTS, TABLE)] == [False, True, False]


@pytest.mark.slow
def test_confs_rung_trains_in_lanes_as_in_the_plain_loop():
    cfg = change(compose("regularize", ROOT), {"model": {"_target_": "recipe.models.text.bag", "width": 8}})
    rung = next(r for r in OmegaConf.to_container(cfg.rungs) if r["name"] == "word dropout")
    assert ablation.inapplicable(cfg, TEXTS, {}, rung["change"]) == ""

    def lanes():
        shares = ({"train.augment": True, "augment": DROPOUT}, rung["change"])
        lanes = [build.lane(cfg, TEXTS, s, c | {"train.epochs": 3}) for s, c in enumerate(shares)]
        for lane in lanes:
            lane.model.double()
        return lanes

    plain, together = (engine.train(lanes(), TEXTS.train, TEXTS.val, mode=mode) for mode in ("plain", "batched"))
    for a, b in zip(plain, together, strict=True):
        assert all(torch.allclose(a.last[n], b.last[n], atol=1e-9) for n in a.last)
    without = build.lane(cfg, TEXTS, 0, {"train.epochs": 3})
    without.model.double()
    (other,) = engine.train([without], TEXTS.train, TEXTS.val, mode="plain")
    assert any(not torch.allclose(other.last[n], plain[0].last[n], atol=1e-4) for n in other.last)
