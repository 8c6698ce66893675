"""Augmentation on whole batches: as torchvision v2 image by image, and for each lane as if it were alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from healthy import digits
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy.stats import chi2_contingency
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import v2

from recipe import rng
from recipe.config.instantiate import part
from recipe.errors import RecipeError
from recipe.train.augment import (
    Affine,
    Compose,
    Crop,
    Cutout,
    Flip,
    Jitter,
    OnPictures,
    apply,
    apply_lanes,
    is_builtin,
    on_pictures,
    stack,
    takes_tokens,
)
from recipe.train.extra import Extra

ROOT = Path(__file__).resolve().parents[2]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KINDS = {  # two strengths of each, and none
    "affine": (Affine(20, 0.2, 1.0), Affine(5, 0.0, 0.5), Affine(0, 0, 0)),
    "flip": (Flip(), Flip(0.2), Flip(0)),
    "crop": (Crop(3), Crop(1), Crop(0)),
    "cutout": (Cutout(0.5), Cutout(0.3, 0.6, 0.5), Cutout(0)),
    "jitter": (Jitter(0.5, 0.5), Jitter(0.1, 0.9), Jitter(0, 0)),
    "compose": tuple(
        Compose([Crop(p), Flip(s), Jitter(b, 0.3 * b)]) for p, s, b in ((2, 0.5, 0.3), (1, 0.9, 1), (0,) * 3)
    ),
}
KINDS["on_pictures"] = tuple(OnPictures(a, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)) for a in KINDS["compose"])
kinds = pytest.mark.parametrize("kind", KINDS)
sizes = st.tuples(st.integers(1, 6), st.sampled_from([1, 3]), st.integers(4, 12), st.integers(4, 12))


@pytest.fixture(params=DEVICES, scope="module")
def device(request):
    return request.param


def key(seed: int, device="cpu"):
    return rng.keys([seed], "augment")[0].to(device)


def pictures(shape, seed=0, device="cpu"):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).to(device)


# ---- the same distribution as torchvision v2, image by image ---------------------------------------------------------


class ShiftsInFractions(v2.RandomAffine):
    """Without the rounding to whole pixels; `pixels` instead of shares of the size."""

    def __init__(self, pixels, **rest):
        super().__init__(**rest)
        self.pixels = pixels

    def make_params(self, flat_inputs):
        return super().make_params(flat_inputs) | {
            "translate": tuple((torch.rand(2) * 2 - 1).mul(self.pixels).tolist())
        }


def with_a_border(inner, left, top, right, bottom, mode="edge"):
    """`inner` on an image with a border, which is cut off again."""

    def on_image(image):
        height, width = image.shape[1:]
        image = inner(v2.functional.pad(image, [left, top, right, bottom], padding_mode=mode))
        return v2.functional.crop(image, top, left, height, width)

    return on_image


def one_by_one(transform, image, times):
    with rng.seeded(0, "v2"):
        return torch.stack([transform(image) for _ in range(times)])


def at_once(augment, image, times, device="cpu"):
    return apply(augment, image.to(device).expand(times, *image.shape), key(0, device)).cpu()


def apart(a, b) -> float:
    """Two samples of images: the largest difference of means of pixels, squares and products, in standard errors."""
    a, b = (
        torch.cat([s, (s[:, :, None] * s[:, None]).flatten(1)], 1)
        for s in (a.double().flatten(1), b.double().flatten(1))
    )
    error = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt() + 1e-6  # what float32 leaves open
    return ((a.mean(0) - b.mean(0)).abs() / error).max().item()


def p_value(a, b) -> float:
    """Two samples of images of which there are few: the chi-squared test that each comes as often in both."""
    values, which = torch.cat([a, b]).flatten(1).unique(dim=0, return_inverse=True)
    counts = [torch.bincount(w, minlength=len(values)) for w in (which[: len(a)], which[len(a) :])]
    return chi2_contingency(torch.stack(counts).numpy()).pvalue


class Wrong:
    """An augmentation with its random numbers tampered with."""

    def __init__(self, inner, tamper):
        self.inner, self.tamper, self.draws = inner, tamper, inner.draws

    def on_batch(self, x, u):
        return self.inner.on_batch(x, self.tamper(u))


def with_row(row, change):
    def tamper(u):
        u = u.clone()
        u[row] = change(u[row])
        return u

    return tamper


def one_for_all(u):
    return u[:, :1].expand_as(u)


AFFINE, IMAGE = Affine(30, 0.3, 0.7), pictures((1, 6, 5), seed=2)


@pytest.fixture(scope="module")
def turned():
    transform = ShiftsInFractions(
        0.7, degrees=30, scale=(0.7, 1.3), translate=(0, 0), interpolation=v2.InterpolationMode.BILINEAR
    )
    return one_by_one(with_a_border(transform, 6, 6, 6, 6), IMAGE, 3000)


@pytest.mark.slow
def test_affine_is_random_affine(turned, device):
    assert apart(at_once(AFFINE, IMAGE, 20_000, device), turned) < 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "tamper",
    [
        one_for_all,
        with_row(0, lambda turn: 0.5 + 0.35 * (turn - 0.5)),
        with_row(1, lambda zoom: 0.5 + zoom / 2),
        with_row(2, lambda right: 0.5 + 0.5 * (right - 0.5)),
        with_row(3, lambda down: down.round()),
    ],
    ids=["one draw for the batch", "turns too little", "zooms to one side", "moves too little", "moves all or nothing"],
)
def test_another_affine_is_told_from_random_affine(turned, tamper):
    assert apart(at_once(Wrong(AFFINE, tamper), IMAGE, 20_000), turned) > 8


def test_a_move_comes_after_the_turn():
    # As v2: turned about its middle by 90 degrees, then moved along the axes of the result.
    image = pictures((1, 9, 9))
    ours_ = Affine(90, 0, 2).on_batch(image[None], torch.tensor([[1.0], [0.5], [1.0], [0.5]]))[0]
    theirs = v2.functional.affine(image, 90, [2, 0], 1.0, [0.0, 0.0], interpolation=v2.InterpolationMode.BILINEAR)
    torch.testing.assert_close(ours_[..., 2:], theirs[..., 2:], atol=1e-5, rtol=0)


def test_flip_is_random_horizontal_flip(device):
    image = pictures((3, 4, 5))
    theirs = one_by_one(v2.RandomHorizontalFlip(0.3), image, 2000)
    assert p_value(at_once(Flip(0.3), image, 2000, device), theirs) > 1e-3
    assert p_value(at_once(Flip(0.4), image, 2000, device), theirs) < 1e-6
    assert p_value(at_once(Wrong(Flip(0.3), one_for_all), image, 2000), theirs) < 1e-6


def test_crop_is_random_crop(device):
    image = pictures((3, 8, 6))
    theirs = one_by_one(v2.RandomCrop((8, 6), padding=2), image, 4000)
    found = at_once(Crop(2), image, 4000, device)
    assert len(found.unique(dim=0)) == 25
    assert p_value(found, theirs) > 1e-3
    assert p_value(at_once(Crop(1), image, 4000), theirs) < 1e-6
    assert p_value(at_once(Wrong(Crop(2), lambda u: u * 0.8), image, 4000), theirs) < 1e-6  # never the last place
    assert (
        p_value(at_once(Wrong(Crop(2), lambda u: u[:1].expand_as(u)), image, 4000), theirs) < 1e-6
    )  # along a diagonal


@pytest.mark.slow
@pytest.mark.parametrize("side", [2, 3])
def test_cutout_is_random_erasing_on_an_image_with_a_border(device, side):
    image = 0.1 + pictures((3, 8, 6))
    before, after = side // 2, side - 1 - side // 2
    area = (8 + side - 1) * (6 + side - 1)
    erase = v2.RandomErasing(0.7, scale=(side**2 / area, side**2 / area), ratio=(1, 1), value=0.5)
    theirs = one_by_one(with_a_border(erase, before, before, after, after, "constant"), image, 6000)
    found = at_once(Cutout(side / 6, 0.7, 0.5), image, 6000, device)
    assert len(found.unique(dim=0)) == 8 * 6 + 1
    assert p_value(found, theirs) > 1e-3
    inside = one_by_one(v2.RandomErasing(0.7, scale=(side**2 / 48, side**2 / 48), ratio=(1, 1), value=0.5), image, 6000)
    assert p_value(found, inside) < 1e-6
    assert p_value(at_once(Cutout(side / 6, 0.6, 0.5), image, 6000), theirs) < 1e-6


@pytest.mark.slow
def test_jitter_is_color_jitter(device):
    image = pictures((3, 2, 2), seed=1)
    theirs = one_by_one(v2.ColorJitter(2, 2), image, 8000)
    jitter = Jitter(2, 2)
    assert apart(at_once(jitter, image, 50_000, device), theirs) < 5
    for tamper in (
        one_for_all,
        with_row(0, lambda brightness: (1 + brightness) / 2),
        with_row(2, torch.ones_like),  # always contrast first: other pixels are cut off
        lambda u: u[:1].expand_as(u),  # one draw for both
    ):
        assert apart(at_once(Wrong(jitter, tamper), image, 50_000), theirs) > 6


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_of_one_kind_is_color_jitter_too(channels):
    image = pictures((channels, 3, 2), seed=1)
    for strengths in ((0.6, 0.0), (0.0, 1.5)):
        theirs = one_by_one(v2.ColorJitter(*strengths), image, 2000)
        assert apart(at_once(Jitter(*strengths), image, 10_000), theirs) < 5


# ---- properties ------------------------------------------------------------------------------------------------------


@kinds
@given(
    shape=sizes,
    seed=st.integers(0, 9),
    strong=st.sampled_from([0, 1]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=25, deadline=None)
def test_shape_type_and_range_are_kept(kind, device, shape, seed, strong, dtype):
    if kind == "on_pictures":
        return  # standardised images have no range
    x = pictures(shape, seed, device).to(dtype)
    kept = x.clone()
    seen = apply(KINDS[kind][strong], x, key(seed, device))
    assert (seen.shape, seen.dtype, seen.device) == (x.shape, dtype, x.device)
    assert seen.min() >= -1e-6
    assert seen.max() <= 1 + 1e-6
    assert x.equal(kept)


@kinds
@given(shape=sizes, seed=st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_no_strength_changes_nothing(kind, device, shape, seed):
    if kind == "on_pictures":
        shape = (shape[0], 3, *shape[2:])
    x = pictures(shape, seed, device)
    strong, _, none = KINDS[kind]
    assert kind == "on_pictures" or apply(none, x, key(seed, device)).equal(x)
    beside = apply_lanes(stack([strong, none], len(x), device), x.expand(2, *x.shape), lanes_of(2, device))[1]
    # a batch with lanes that turn is resampled as a whole, and standardising there and back is rounded
    torch.testing.assert_close(beside, x, atol=1e-5 if kind in ("affine", "on_pictures") else 0, rtol=0)


@kinds
def test_the_order_in_memory_does_not_matter(kind, device):
    x = pictures((5, 3, 8, 6), device=device)
    last = apply(KINDS[kind][0], x.contiguous(memory_format=torch.channels_last), key(0, device))
    torch.testing.assert_close(last, apply(KINDS[kind][0], x, key(0, device)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("value", [0, 1, 0.5])
def test_a_level_image_stays_level_where_the_edge_is_repeated(value, device):
    x = torch.full((50, 1, 7, 9), value, dtype=torch.float32, device=device)
    torch.testing.assert_close(apply(Affine(90, 0.9, 5), x, key(0, device)), x, atol=1e-6, rtol=0)


@given(shape=sizes, seed=st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_to_flip_twice_is_to_flip_nothing(device, shape, seed):
    x = pictures(shape, seed, device)
    for flip in (Flip(), Flip(1)):
        assert apply(flip, apply(flip, x, key(seed, device)), key(seed, device)).equal(x)
    assert apply(Flip(1), x, key(seed, device)).equal(x.flip(3))


def test_a_quarter_turns_the_image(device):
    u = torch.tensor([[1.0], [0.5], [0.5], [0.5]], device=device)
    image = pictures((1, 1, 6, 6), device=device)
    turned = Affine(90, 0, 0).on_batch(image, u)
    assert min((turned - image.rot90(k, (2, 3))).abs().max() for k in (1, 3)) < 1e-5


def test_a_move_by_a_whole_pixel_is_a_roll(device):
    u = torch.tensor([[0.5], [0.5], [1.0], [0.0]], device=device)
    image = pictures((1, 1, 9, 7), device=device)
    moved = Affine(0, 0, 1).on_batch(image, u)
    torch.testing.assert_close(moved[..., :-1, 1:], image[..., 1:, :-1], atol=1e-5, rtol=0)
    torch.testing.assert_close(moved[..., :-1, 0], image[..., 1:, 0], atol=1e-5, rtol=0)  # the edge, repeated


# ---- lanes -----------------------------------------------------------------------------------------------------------


def lanes_of(count, device="cpu"):
    return rng.keys(list(range(count)), "augment").to(device)


@kinds
@given(batch=st.integers(1, 9), side=st.integers(4, 12), which=st.lists(st.integers(0, 2), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_a_lane_is_as_if_it_were_alone(kind, device, batch, side, which):
    augments, keys = [KINDS[kind][i] for i in which], lanes_of(len(which), device)
    x = pictures((len(which), batch, 3, side, side + 1), device=device)
    together = apply_lanes(stack(augments, batch, device), x, keys)
    assert together.shape == x.shape
    alone = torch.stack([apply(a, part_, k) for a, part_, k in zip(augments, x, keys, strict=True)])
    torch.testing.assert_close(together, alone, atol=1e-5 if kind in ("affine", "on_pictures") else 1e-6, rtol=0)


@kinds
def test_a_lane_does_not_depend_on_its_neighbours(kind, device):
    one, other, _ = KINDS[kind]
    x, keys = pictures((4, 8, 3, 8, 8), device=device), lanes_of(4, device)
    among = apply_lanes(stack([one, other, one, other], 8, device), x, keys)
    less = apply_lanes(stack([other, one], 8, device), x[[3, 0]], keys[[3, 0]])
    torch.testing.assert_close(less, among[[3, 0]], atol=1e-6, rtol=0)


@kinds
def test_lanes_and_images_differ_from_each_other(kind, device):
    one = KINDS[kind][0]
    x = pictures((3, 8, 8), device=device).expand(4, 16, 3, 8, 8)
    seen = apply_lanes(stack([one] * 4, 16, device), x, lanes_of(4, device))
    assert all(not seen[i].equal(seen[j]) for i in range(4) for j in range(i))
    assert len(seen[0].flatten(1).unique(dim=0)) > 1


def test_strengths_that_all_lanes_share_stay_numbers():
    assert stack([Affine(5, 0.1), Affine(5, 0.1)], 3) == Affine(5, 0.1)
    stacked = stack([Affine(5, 0.1), Affine(5, 0.2)], 3)
    assert stacked.degrees == 5
    assert stacked.zoom.tolist() == pytest.approx([0.1] * 3 + [0.2] * 3)
    both = stack([Compose([Crop(1), Flip()]), Compose([Crop(3), Flip()])], 2)
    assert both.augments[0].pixels.tolist() == [1, 1, 3, 3]
    assert both.augments[0].margin == 3
    assert both.augments[1] == Flip()


def test_lanes_of_different_kinds_do_not_stack():
    assert stack([Affine(), Flip()], 2) is None
    assert stack([Compose([Crop(1), Flip()]), Compose([Flip(), Crop(1)])], 2) is None
    assert stack([Compose([Crop(1)]), Compose([Crop(2), Flip()])], 2) is None
    assert stack([lambda image: image] * 2, 2) is None
    assert stack([Flip(), None], 2) is None
    assert stack([OnPictures(Flip(), (0.1,), (1.0,)), OnPictures(Flip(), (0.2,), (1.0,))], 2) is None


class NothingIsReadBack(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function not in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default), function
        return function(*args, **kwargs or {})


@kinds
def test_no_call_waits_for_the_device(kind, device):
    stacked = stack([*KINDS[kind][:2]], 4, device)
    x = pictures((8, 3, 8, 8), device=device)
    u = torch.rand(stacked.draws, 8, device=device)
    expected = stacked.on_batch(x, u)  # what is copied there once, is there now
    with NothingIsReadBack():
        assert stacked.on_batch(x, u).shape == expected.shape
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
        try:
            stacked.on_batch(x, u)
        finally:
            torch.cuda.set_sync_debug_mode("default")


# ---- standardised images, and a person's own ------------------------------------------------------------------------


@pytest.mark.parametrize("augment", [k[0] for k in KINDS.values() if not isinstance(k[0], OnPictures)])
def test_standardised_images_are_augmented_as_pictures(augment, device):
    x = pictures((20, 3, 8, 8), device=device)
    mean, std = x.mean((0, 2, 3), keepdim=True)[0], x.std((0, 2, 3), keepdim=True)[0]
    seen = apply(on_pictures(augment, mean, std), (x - mean) / std, key(1, device))
    torch.testing.assert_close(seen * std + mean, apply(augment, x, key(1, device)), atol=1e-5, rtol=0)


def test_what_only_moves_pixels_needs_no_way_back():
    mean, std = torch.full((3, 1, 1), 0.5), torch.tensor([1.0, 2.0, 4.0])[:, None, None]
    assert on_pictures(Compose([Flip(), Affine()]), mean, std) == Compose([Flip(), Affine()])
    assert on_pictures(Compose([Crop(1), Jitter()]), mean, std) == Compose(
        [Crop(1, (-0.5, -0.25, -0.125)), OnPictures(Jitter(), (0.5,) * 3, (1.0, 2.0, 4.0))]
    )


def test_a_persons_own_is_called_once_an_image_on_pictures():
    x, seen = digits()[0][:5], []
    mean, std = torch.tensor([[[0.3]]]), torch.tensor([[[0.4]]])
    own = on_pictures(lambda image: seen.append(image) or 1 - image, mean, std)
    assert not is_builtin(own)
    out = apply(own, x, key(0))
    torch.testing.assert_close(torch.stack(seen), x * 0.4 + 0.3)
    torch.testing.assert_close(out * 0.4 + 0.3, 1 - (x * 0.4 + 0.3))
    assert out.dtype == torch.float32


def test_a_persons_own_draws_from_the_global_generator():
    x = torch.zeros(3, 1, 2, 2)
    seen = []
    for seed in (0, 0, 1):
        with rng.seeded(seed, "train"):
            seen.append(apply(lambda image: image + torch.rand(()), x, key(0)))
    assert seen[0].equal(seen[1])
    assert not seen[0].equal(seen[2])


# ---- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", sorted((ROOT / "conf/augment").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_option_builds_one_of_ours(option):
    augment = part(OmegaConf.create({"augment": OmegaConf.load(option)}), "augment")
    assert is_builtin(augment)
    x = pictures((6, 3, 8, 8))
    if takes_tokens(augment):
        augment, x = replace(augment, length=40), torch.randint(2, 30, (6, 40))
    assert apply(augment, x, key(0)).equal(x) == isinstance(augment, Extra)  # which replaces whole examples
    assert stack([augment, augment], 3) == augment


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (lambda: Crop(1.5), "Crop has `pixels: 1.5`, which must be whole"),
        (lambda: Flip(1.2), "Flip has `share: 1.2`, which must be from 0 to 1"),
        (lambda: Affine(zoom=1), "zoom: 1"),
        (lambda: Cutout(chance=-0.1), "chance: -0.1"),
        (lambda: Jitter(brightness=float("nan")), "brightness: nan"),
        (lambda: Compose([Flip(), torch.relu]), "Compose takes Affine, Flip, Crop, Cutout, Jitter"),
        (lambda: apply(Flip(), torch.zeros(4, 7), key(0)), "Flip takes images"),
    ],
)
def test_a_mistake_is_named(bad, said):
    with pytest.raises(RecipeError) as error:
        bad()
    assert said in str(error.value)
