"""Outliers: inputs unlike everything else, or of another style than the rest; and hardly any in clean data."""

import io
import lzma
from pathlib import Path

import numpy as np
import pytest
from audits import LIMITS, Rows, audit_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pyarrow import parquet
from zoo import photograph

from recipe.data.images import Fit
from recipe.sources.digits import Digits
from recipe.sources.folder import Folder
from recipe.stages.audit.captions import sentences
from recipe.stages.audit.neighbours import Neighbours, nearest, pixel_components
from recipe.stages.audit.outliers import STYLE, isolation, style_outliers, upper_z
from recipe.stages.audit.statistics import statistics

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"  # beside the project, where it exists
real = pytest.mark.skipif(not SHARED.is_dir(), reason="no real data in ../shared/data, beside the project")
LIMIT = LIMITS.outlier
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# ---- pictures ------------------------------------------------------------------------------------------------------


def text(draw: ImageDraw.ImageDraw, side: int, ink: str) -> None:
    draw.multiline_text((side // 6, side // 3), "No image\navailable", fill=ink, font_size=side // 8)


def icon(draw: ImageDraw.ImageDraw, side: int, ink: str) -> None:
    draw.ellipse([side * 0.25, side * 0.25, side * 0.75, side * 0.75], fill=ink)
    draw.line([side * 0.4, side * 0.4, side * 0.6, side * 0.6], fill="white", width=side // 14)


def chart(draw: ImageDraw.ImageDraw, side: int, ink: str) -> None:
    for i, high in enumerate((0.3, 0.6, 0.45, 0.7, 0.5)):
        left = side * (0.14 + 0.15 * i)
        draw.rectangle([left, side * (0.85 - high), left + side * 0.1, side * 0.85], fill=ink)
    draw.line([side * 0.1, side * 0.85, side * 0.95, side * 0.85], fill="black", width=max(1, side // 100))


def nothing(draw: ImageDraw.ImageDraw, side: int, ink: str) -> None:
    draw.rectangle([0, 0, side, side // 10], fill=ink)


def fitted(picture: Image.Image, side: int) -> np.ndarray:
    """(3, side, side), as a folder's files enter the net."""
    return Fit(side)(np.asarray(picture.convert("RGB")))[0].transpose(2, 0, 1)


@st.composite
def placeholders(draw) -> Image.Image:
    side, ground = draw(st.sampled_from([150, 240, 400])), draw(st.sampled_from(["white", "#eeeeee", "#202040"]))
    ink = draw(st.sampled_from(["#888888", "#c81e1e", "#1f77b4"]))
    picture = Image.new("RGB", (side, side), ground)
    draw(st.sampled_from([text, icon, chart, nothing]))(ImageDraw.Draw(picture), side, ink)
    return picture


def drawings(count: int, side: int = 64) -> np.ndarray:
    """(count, 3, side, side): black lines and ellipses on white."""
    rng, made = np.random.default_rng(0), []
    for _ in range(count):
        picture = Image.new("L", (side, side), 255)
        draw = ImageDraw.Draw(picture)
        for _ in range(rng.integers(2, 7)):
            (left, right), (top, bottom) = np.sort(rng.integers(0, side, (2, 2)), axis=1).tolist()
            if rng.random() < 0.5:
                draw.line([left, top, right, bottom], fill=0, width=2)
            else:
                draw.ellipse([left, top, right + 2, bottom + 2], outline=0, width=2)
        made.append(np.asarray(picture))
    return np.repeat(np.stack(made)[:, None], 3, axis=1)


def photographs(count: int, side: int = 64) -> np.ndarray:
    pictures = [photograph(seed, 96, 96 + seed % 64) for seed in range(count)]
    return np.stack([fitted(Image.fromarray(p), side) for p in pictures])


def cifar(count: int) -> np.ndarray:
    table = parquet.read_table(SHARED / "cifar10/train_jpeg.parquet", columns=["image"]).slice(0, count)
    opened = [np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")) for jpeg in table["image"].to_pylist()]
    return np.stack(opened).transpose(0, 3, 1, 2)


def fashion(count: int) -> np.ndarray:
    held = lzma.decompress((SHARED / "fashion_mnist/test_images.npy.xz").read_bytes())
    return np.load(io.BytesIO(held))[:count].reshape(-1, 1, 28, 28)


def enlarged(images: np.ndarray) -> np.ndarray:
    return np.stack([fitted(Image.fromarray(image.transpose(1, 2, 0)), 64) for image in images])


def columns(images: np.ndarray) -> dict[str, np.ndarray]:
    result = statistics(images).columns
    return {name: result[name] for name in STYLE}


def made(photos: dict[str, np.ndarray], planted: list[np.ndarray]) -> np.ndarray:
    """The scores of the known images and, at the end, of the planted ones."""
    more = columns(np.stack(planted))
    joined = {name: np.append(photos[name], more[name]) for name in STYLE}
    return style_outliers(joined, np.arange(len(joined["colours"])).astype(str))


# ---- the style of an image -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["made up", "CIFAR-10", "CIFAR-10, enlarged"])
def photographed(request):
    """(columns, side) of some hundred photographs."""
    if request.param == "made up":
        return columns(photographs(150)), 64
    if not SHARED.is_dir():
        pytest.skip("no real data in ../shared/data, beside the project")
    return (columns(cifar(500)), 32) if request.param == "CIFAR-10" else (columns(enlarged(cifar(500))), 64)


@pytest.mark.slow
@MANY
@given(placeholders())
def test_a_placeholder_is_unlike_photographs(photographed, picture):
    photos, side = photographed
    scores = made(photos, [fitted(picture, side)])
    assert scores[-1] > LIMIT
    assert (scores[:-1] > LIMIT).mean() < 0.01


@pytest.mark.slow
@MANY
@given(st.lists(placeholders(), min_size=2, max_size=5))
def test_a_few_placeholders_do_not_hide_each_other(photographed, pictures):
    photos, side = photographed
    assert (made(photos, [fitted(picture, side) for picture in pictures])[-len(pictures) :] > LIMIT).all()


@pytest.mark.slow
def test_a_placeholder_that_is_there_many_times_counts_once(photographed):
    photos, side = photographed
    picture = Image.new("RGB", (200, 200), "white")
    text(ImageDraw.Draw(picture), 200, "grey")
    more = columns(np.stack([fitted(picture, side)] * 40))
    joined = {name: np.append(photos[name], more[name]) for name in STYLE}
    copies = np.append(np.arange(len(photos["colours"])), np.full(40, 10**6)).astype(str)
    assert (style_outliers(joined, copies)[-40:] > LIMIT).all()


@pytest.mark.slow
@MANY
@given(st.integers(1000, 2000))
def test_a_photograph_is_unlike_drawings(seed):
    scores = made(DRAWN, [fitted(Image.fromarray(photograph(seed)), 64)])
    assert scores[-1] > LIMIT
    assert (scores[:-1] > LIMIT).mean() < 0.01


DRAWN = columns(drawings(300))


@pytest.mark.slow
@real
@pytest.mark.parametrize("count", [100, 500, 2000])
@pytest.mark.parametrize("read", [cifar, fashion])
def test_real_images_are_hardly_ever_outliers(read, count):
    images = read(count)
    photos = columns(images)
    points, rest = pixel_components(images, np.arange(count))
    looks = isolation(nearest(points, rest), np.full(count, count // 10))
    assert (style_outliers(photos, np.arange(count).astype(str)) > LIMIT).mean() <= 0.01
    assert (looks > LIMIT).sum() == 0


@pytest.mark.slow
@real
def test_the_placeholder_among_ants_is_the_outlier(tmp_path):
    result, store = audit_of(Folder(str(SHARED / "natural_ants_bees"), size=64), tmp_path)
    flagged = [
        name for name, flags in zip(result.columns["name"], result.columns["flags"], strict=True) if "outlier" in flags
    ]
    assert "train/ants/imageNotFound.gif" in flagged
    assert len(flagged) <= 2
    outliers = next(text for text in sentences(result, store.task) if text.startswith("Outliers: "))
    assert outliers.startswith("Outliers: `train/ants/imageNotFound.gif` (")
    assert "few colours (17, where most have" in outliers
    assert "a few sharp edges on flat areas" in outliers


@pytest.mark.slow
def test_small_images_are_not_judged_by_their_style(tmp_path):
    digits = Digits()
    images = np.concatenate([digits.images[:300], 255 - digits.images[300:301]])
    result, _ = audit_of(Rows(images, digits.targets[:301]), tmp_path)
    assert result.columns["outlier_reason"].tolist() == [""] * 300 + ["looks like nothing else"]


@pytest.mark.slow
def test_a_picture_that_is_there_many_times_is_named(tmp_path):
    picture = Image.new("RGB", (80, 80), "white")
    text(ImageDraw.Draw(picture), 80, "grey")
    images = np.concatenate([photographs(60), np.stack([fitted(picture, 64)] * 20)])
    result, store = audit_of(Rows(images, np.append(np.arange(60) % 2, np.ones(20, int))), tmp_path)
    assert all({"outlier", "exact copy"} <= set(flags.split("; ")) for flags in result.columns["flags"][60:])
    texts = sentences(result, store.task)
    assert any(text.startswith("One picture occurs 20 times, all in class 1: ") for text in texts)


# ---- inputs unlike everything else ---------------------------------------------------------------------------------


def stripes(classes: int, per: int, seed: int) -> np.ndarray:
    """(classes * per, 3, 64, 64): each class has stripes of one period, direction and colour; the rest is noise."""
    rng, made = np.random.default_rng(seed), []
    for c in range(classes):
        for _ in range(per):
            image = rng.integers(0, 60, (32, 32, 3)).astype(np.uint8)
            band = (slice(None, None, 2 + c % 6),) if c % 2 else (slice(None), slice(None, None, 2 + c % 6))
            image[band] += 120
            image[..., c % 3] += c * 7 % 50
            made.append(fitted(Image.fromarray(image), 64))
    return np.stack(made)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_many_small_classes_of_several_kinds_are_no_outliers(seed):
    images = stripes(classes=100, per=5, seed=seed)
    points, rest = pixel_components(images, np.arange(len(images)))
    assert (isolation(nearest(points, rest), np.full(len(images), 4)) > LIMIT).sum() == 0
    assert (style_outliers(columns(images), np.arange(len(images)).astype(str)) > LIMIT).mean() < 0.01


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_noise_inverted_and_shuffled_digits_are_outliers(seed, count):
    rng, digits = np.random.default_rng(seed), Digits().images[:, None]
    some = digits[rng.choice(len(digits), (2, count))]
    shuffled = rng.permuted(some[1].reshape(count, -1), axis=1).reshape(some[1].shape)
    planted = [rng.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8), 255 - some[0], shuffled]
    images = np.concatenate([digits, *planted])
    points, rest = pixel_components(images, np.arange(len(images)))
    scores = isolation(nearest(points, rest), np.full(len(images), 180))
    assert (scores[len(digits) :] > LIMIT).all()
    assert (scores[: len(digits)] > LIMIT).sum() == 0


@given(st.integers(0, 2**32 - 1), st.floats(0.06, 0.5))
def test_a_far_part_of_the_set_is_no_outlier(seed, share):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, 1000)
    values[: int(1000 * share)] += 20
    assert (upper_z(values) < LIMIT).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_a_few_far_values_are_outliers(seed, count):
    values = np.random.default_rng(seed).normal(0, 1, 1000)
    values[:count] += 20
    assert (upper_z(values)[:count] > LIMIT).all()
    assert (upper_z(values)[count:] < 4.6).all()  # of the 1,000 of a normal distribution


def test_a_class_of_three_is_judged_by_the_other_two():
    distance = np.full((100, 10), 1.0)
    distance[:3, 2:] = 100.0
    near = Neighbours(np.zeros((100, 10), int), distance, np.zeros(100))
    others = np.full(100, 20)
    assert (isolation(near, others)[:3] > LIMIT).all()
    others[:3] = 2
    assert (isolation(near, others) == 0).all()
