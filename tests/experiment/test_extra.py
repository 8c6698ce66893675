"""A second source of examples in the training batches: a share of them, in lanes as in the plain loop."""

import pytest
import torch
from clone import ROOT
from made_data import DATA, TABLE, X, Y
from omegaconf import OmegaConf
from sources import Set

from recipe.config.changes import change
from recipe.config.compose import compose
from recipe.config.instantiate import part
from recipe.errors import RecipeError
from recipe.experiment import build, extra_examples
from recipe.stages.regularize import augmentations, checks
from recipe.stages.regularize.ablation import Ablation, Candidate, Level, short
from recipe.stages.regularize.second_source import separability, separability_of
from recipe.train import engine
from recipe.train.augment import Affine, Compose, Flip, is_builtin, without_extra
from recipe.train.extra import Extra, ExtraExamples

TARGET = {"_target_": "recipe.train.extra.Extra"}
CLASSES = [str(c) for c in range(10)]
FONTS = TARGET | {
    "share": 0.5,
    "data": {
        "_target_": "recipe.sources.generated.Generated", "classes": CLASSES, "each": 8, "size": 32,
        "draw": {"_target_": "recipe.sources.font_digits.font_digit", "_partial_": True},
    },
}  # fmt: skip


def named(images, labels, classes) -> Set:
    """A source for conf, which names it: tests/experiment/test_extra.some."""
    return Set(list(zip(images, labels, strict=True)), classes)


def some(classes=("3", "1"), kind="image", times=2):
    source = named([torch.full((1, 8, 8), 0.5).numpy()] * 2 * times, [0, 1] * times, list(classes))
    source.kind = kind
    return source


def config(extra: dict, **more):
    return change(compose("regularize", ROOT), {"augment": extra, "train.augment": True, **more})


def source_of(**settings) -> dict:
    return TARGET | {"share": 0.5, "data": {"_target_": f"{__name__}.some", **settings}}


# ---- the examples ------------------------------------------------------------------------------------------------


def test_they_have_the_size_the_scale_and_the_class_numbers_of_the_real_ones():
    extra = extra_examples.extra_examples(config(FONTS), DATA)
    assert extra.x.shape == (80, 1, 8, 8)
    assert extra.y.tolist() == [c for c in range(10) for _ in range(8)]
    pictures = DATA.pictures(extra.x)
    assert pictures.min() == 0
    assert pictures.max() > 0.8
    few = extra_examples.extra_examples(config(source_of()), DATA)  # classes may be missing, in any order
    assert few.y.tolist() == [3, 1, 3, 1]
    torch.testing.assert_close(few.x, torch.full_like(few.x, (0.5 - 0.3) / 0.4))


def test_all_trainings_share_them_and_another_scale_has_its_own():
    from dataclasses import replace

    first, again = (extra_examples.extra_examples(config(FONTS), DATA) for _ in range(2))
    assert first.x is again.x
    fold = replace(DATA, mean=DATA.mean + 0.1)
    assert not extra_examples.extra_examples(config(FONTS), fold).x.equal(first.x)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (source_of(classes=["3", "ten"]), "Set has a class `ten`; the data have 0, 1, 2, 3, 4, ..."),
        (TARGET | {"data": None, "share": 0.5}, "`data` is missing: a source, as in conf/data/"),
        (source_of(kind="text"), "Set has no images with one class each"),
    ],
)
def test_what_cannot_be_mixed_in_is_one_message(extra, message):
    with pytest.raises(RecipeError, match=message):
        extra_examples.extra_examples(config(extra), DATA)


def test_rows_of_a_table_have_none():
    with pytest.raises(RecipeError, match="images of one class each; the inputs are rows of features"):
        extra_examples.extra_examples(config(FONTS), TABLE)
    assert not build.can_augment(config(FONTS), TABLE)


def test_a_share_is_from_0_to_1():
    with pytest.raises(RecipeError, match="must be from 0 to 1"):
        Extra(share=1.5)


@pytest.mark.parametrize("choice", ["extra", "font_digits"])
def test_confs_options_are_of_this_kind(choice):
    assert OmegaConf.load(ROOT / f"conf/augment/{choice}.yaml")._target_ == TARGET["_target_"]


# ---- batches -----------------------------------------------------------------------------------------------------


def test_a_share_of_a_batch_is_replaced_by_seed_and_step_alone():
    extra = ExtraExamples(torch.full((6, 1, 2, 2), 9.0), torch.full((6,), 7), 0.25)
    x, y = torch.zeros(4000, 1, 2, 2), torch.zeros(4000, dtype=torch.long)
    mixed, labels = extra.mixed(x, y, 0, 3)
    replaced = labels == 7
    assert replaced.double().mean().item() == pytest.approx(0.25, abs=0.03)
    assert mixed[replaced].eq(9).all()
    assert mixed[~replaced].eq(0).all()
    assert not x.any()  # the batch itself is left as it is
    assert extra.mixed(x, y, 0, 3)[1].equal(labels)
    assert not extra.mixed(x, y, 0, 4)[1].equal(labels)
    assert not extra.mixed(x, y, 1, 3)[1].equal(labels)
    soft = extra.mixed(x, torch.full((4000, 8), 1 / 8), 0, 3)[1]
    assert soft[replaced].argmax(1).eq(7).all()
    assert soft[replaced].sum(1).eq(1).all()


def test_the_augmentations_beside_it_remain():
    assert without_extra(Extra()) is None
    assert without_extra(Compose([Extra(), Flip()])) == Compose([Flip()])
    assert without_extra(Affine()) == Affine()
    both = {"_target_": "recipe.train.augment.Compose", "_convert_": "all"}
    cfg = config(both | {"augments": [FONTS, {"_target_": "recipe.train.augment.Flip", "share": 0.5}]})
    assert is_builtin(part(cfg, "augment"))
    lane = build.lane(cfg, DATA, 0)
    assert (lane.extra.share, lane.augment) == (0.5, Compose([Flip(0.5)]))
    alone = build.lane(config(FONTS), DATA, 0)
    assert (alone.extra.share, alone.augment) == (0.5, None)
    assert build.lane(config(FONTS, **{"train.augment": False}), DATA, 0).extra is None


def test_lanes_mix_them_in_as_the_plain_loop_does():
    flip = {"_target_": "recipe.train.augment.Flip", "share": 0.5}
    both = {"_target_": "recipe.train.augment.Compose", "_convert_": "all", "augments": [FONTS, flip]}
    arms = (FONTS, FONTS | {"share": 0.2}, both)

    def lanes():
        made = [
            build.lane(config(e, model={"_target_": "recipe.models.plain.linear"}), DATA, s, {"train.epochs": 2})
            for s, e in enumerate((*arms, FONTS))
        ]
        made[-1].extra = None
        return made

    plain, together = (engine.train(lanes(), DATA.train, DATA.val, mode=mode) for mode in ("plain", "batched"))
    for a, b in zip(plain, together, strict=True):
        assert a.curve[-1]["val_loss"] == pytest.approx(b.curve[-1]["val_loss"], rel=1e-4)
    again = engine.train(lanes(), DATA.train, DATA.val, mode="plain")
    assert [t.last["1.weight"].tolist() for t in again] == [t.last["1.weight"].tolist() for t in plain]
    losses = [t.curve[-1]["val_loss"] for t in plain]
    assert len(set(losses)) == 4


# ---- what regularize shows and notes ----------------------------------------------------------------------------


def ablation_of(extra: dict) -> Ablation:
    level = Level("font digits", {"train.augment": True, "augment": extra})
    return Ablation(None, None, {}, [Candidate("font digits", "val_loss falls", [level])])


def test_a_table_names_the_source():
    assert short(FONTS) == "Extra(share 0.5, data Generated)"


def test_the_figure_shows_examples_of_the_same_classes():
    rows = augmentations.example_rows(compose("regularize", ROOT), DATA, ablation_of(FONTS), count=12)
    extra = extra_examples.extra_examples(config(FONTS), DATA)
    assert [name for name, _ in rows] == ["original", "font digits"]
    shown = rows[1][1]
    for column, label in enumerate(Y[:12].tolist()):
        of = DATA.pictures(extra.x[extra.y == label])
        assert (of == shown[column]).flatten(1).all(1).any()


def test_a_second_source_of_another_brightness_is_noted_and_one_alike_is_not():
    auc = separability(X[:300], X[300:600], 0)
    assert auc < 0.6
    assert separability(X[:300], X[300:600] + 0.5, 0) > 0.9
    assert separability(X[:300], 0.4 * X[300:600], 0) > 0.9
    found = separability_of(compose("regularize", ROOT), DATA, ablation_of(source_of(times=20)))
    assert found["font digits"] > 0.9  # grey squares

    def verdict(values: dict) -> str:
        return checks.extra_examples_look_real(checks.Regularized(None, {}, None, [], separability=values)).verdict

    assert [verdict({}), verdict({"a": auc}), verdict({"a": auc, **found})] == ["skip", "pass", "fail"]
