"""Images that are stored larger than what enters the net: windows in augmented training, the middle everywhere else."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from systems import project
from torch import nn

from recipe import rng
from recipe.config.changes import change
from recipe.config.compose import compose
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.models.plain import Centre
from recipe.serve.inputs import read_inputs
from recipe.serve.system import load as load_system
from recipe.sources.arrays import Parquet
from recipe.sources.folder import Folder
from recipe.stages.setup_from_config import setup_from
from recipe.train import engine
from recipe.train.augment import Compose, Flip, Window, apply, apply_lanes, stack, with_window

STORED, ENTERING = (14, 18), (10, 12)


def photographs(root: Path, count: int = 60) -> Path:
    draw = np.random.default_rng(0)
    for k in range(count):
        at = root / "photos" / ("dark", "light")[k % 2]
        at.mkdir(parents=True, exist_ok=True)
        values = draw.normal(90 + 70 * (k % 2), 40, (*draw.integers(20, 60, 2), 3)).clip(0, 255)
        Image.fromarray(values.astype(np.uint8)).save(at / f"{k}.png")
    return root / "photos"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("windows")
    return project(root, Folder(str(photographs(root)), size=list(ENTERING), store_size=list(STORED)))


@pytest.fixture(scope="module")
def cfg():
    few = {"train.batch_size": 8, "train.epochs": 2, "train.eval_every": 1, "model.width": 4}
    return change(compose("overfit"), few)


# ---- windows -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 8), st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_window_is_a_part_of_its_image(seed, height, width, down, right):
    x = torch.arange(3 * 2 * (height + down) * (width + right)).float().view(3, 2, height + down, width + right)
    y = apply(Window(height, width), x, rng.keys([seed], "augment")[0])
    assert y.shape == (3, 2, height, width)
    for image, window in zip(x, y, strict=True):
        parts = image.unfold(1, height, 1).unfold(2, width, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
        assert (parts == window).flatten(1).all(1).sum() == 1


def test_every_place_is_as_probable():
    x = torch.arange(5.0).view(1, 1, 1, 5).expand(6000, 1, 1, 5)
    left = apply(Window(1, 3), x, rng.keys([0], "augment")[0])[:, 0, 0, 0]
    assert torch.bincount(left.long(), minlength=3).tolist() == pytest.approx([2000] * 3, abs=150)


def test_the_windows_of_a_lane_are_those_it_has_alone():
    x, keys = torch.rand(2, 4, 3, 6, 6), rng.keys([1, 2], "augment")
    lanes = [with_window(Flip(0.5), 4, 4), with_window(Flip(0.1), 4, 4)]
    stacked = stack(lanes, 4)
    together = apply_lanes(stacked, x, keys)
    for k in range(2):
        assert together[k].equal(apply(lanes[k], x[k], keys[k]))


def test_a_users_augmentation_sees_all_of_the_image():
    seen = []

    def own(image):
        seen.append(tuple(image.shape))
        return image

    with rng.seeded(0, "own"):
        y = apply(with_window(own, 4, 5), torch.rand(6, 3, 9, 9), rng.keys([0], "augment")[0])
    assert y.shape == (6, 3, 4, 5)
    assert set(seen) == {(3, 9, 9)}
    assert isinstance(with_window(Compose([Flip()]), 4, 4), Compose)


def test_the_middle_of_an_image_of_that_size_is_the_image():
    x = torch.rand(2, 3, 4, 6)
    assert Centre(4, 6)(x).equal(x)
    assert Centre(2, 4)(x).equal(x[..., 1:3, 1:5])


# ---- from the folder to the saved system ---------------------------------------------------------------------------


def test_stored_images_are_larger_than_what_enters(made):
    assert made.store.inputs.shape[1:] == (3, *STORED)
    assert made.store.window == made.data.window == ENTERING


def test_only_augmented_training_sees_the_border(made, cfg):
    """Where the middle is black in all images, the outputs are equal; in augmented training they are not."""
    data = made.data
    net = build.model(cfg, data, 0).eval()
    x = data.val.x[:4].clone()
    x[..., 2:12, 3:15] = 0.5
    with torch.no_grad():
        assert torch.allclose(net(x), net(x[:1]).expand(4, -1), atol=1e-6)
    views = apply(build.augmentation(cfg, data), x, rng.keys([0], "augment")[0])
    assert views.shape[2:] == ENTERING
    assert not views.eq(0.5).flatten(1).all(1).any()


@pytest.mark.parametrize("augmented", [False, True])
def test_lanes_are_the_plain_loop(made, cfg, augmented):
    changes = {"train.augment": augmented}
    curves, said = [], []
    for mode in ("batched", "plain"):
        lanes = [build.lane(cfg, made.data, seed, changes) for seed in (0, 1)]
        trained = engine.train(lanes, made.data.train, made.data.val, mode=mode, say=said.append)
        curves.append([t.curve for t in trained])
    assert "2 lanes together" in said
    for one, other in zip(*curves, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-4)
            assert a["val_loss"] == pytest.approx(b["val_loss"], rel=1e-4)


def test_the_checks_see_what_enters(made, cfg):
    plain, augmented = (setup_from(change(cfg, {"train.augment": on}), made.data) for on in (False, True))
    for setup in plain, augmented:
        assert setup.train[0][0].shape[1:] == setup.val[0][0].shape[1:] == ENTERING
    assert plain.train_augmented is None
    assert plain.train[0][0].equal(made.data.train.x[0][:, 2:12, 3:15])
    views = [augmented.train_augmented[0][0] for _ in range(8)]
    assert {tuple(view.shape[1:]) for view in views} == {ENTERING}
    assert len({view.numpy().tobytes() for view in views}) > 1


def test_a_saved_system_takes_photographs_of_any_size(made, tmp_path):
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (77, 41, 3), dtype=np.uint8)).save(tmp_path / "new.jpg")
    system = load_system(made.system)
    (one,) = read_inputs(tmp_path / "new.jpg", system.form, 1)
    assert one.value.shape == (3, *STORED)
    p = system.predict(one.value[None])
    border = one.value.copy()
    border[:, :2] = border[:, 12:] = 0
    assert system.predict(border[None]).equal(p)
    assert system.form.window == ENTERING


def test_a_first_layer_on_pixels_has_the_window_as_its_image(made, cfg):
    from recipe.stages.regularize.diagnostics import first_layer

    net = nn.Sequential(Centre(*ENTERING), nn.Sequential(nn.Flatten(), nn.Linear(3 * 10 * 12, 2)))
    assert first_layer(net, made.data.val.x[:1])[1] == (2, 3, *ENTERING)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"size": 16, "store_size": 12}, "`store_size: 12` is smaller than `size: 16`"),
        ({"size": [8, 16], "store_size": [12, 12]}, r"`store_size: \[12, 12\]` is smaller than `size: \[8, 16\]`"),
        ({"size": 8, "store_size": [9, 9, 9]}, r"`store_size: \[9, 9, 9\]` must be a side in pixels"),
    ],
)
def test_a_window_larger_than_the_images_is_one_message(made, words, message):
    with pytest.raises(RecipeError, match=message):
        Folder(str(made.root / "photos"), **words)


def test_of_parquet_a_window_needs_its_size(tmp_path):
    with pytest.raises(RecipeError, match="`store_size: 12` needs `size`"):
        Parquet(str(tmp_path / "no.parquet"), store_size=12)
