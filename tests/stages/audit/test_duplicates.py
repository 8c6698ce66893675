"""Near duplicates: changed copies are detected and the change is named; different pictures are no pairs."""

import hashlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from recipe.data.groups import linked_groups
from recipe.sources.digits import Digits
from recipe.stages.audit.duplicates.search import Pair, find_pairs
from recipe.stages.audit.duplicates.thumbnails import TURNS, nearest_thumbnails, shift_between, thumbnail, turned
from recipe.stages.audit.duplicates.transformations import compare, quarter_turned


def drawn(seed: int) -> Image.Image:
    """A picture of soft texture, discs and strokes, of one of several sizes."""
    rng = np.random.default_rng([7, seed])
    width, height = (int(side) for side in rng.integers(120, 220, 2))
    coarse = rng.integers(40, 216, (9, 9, 3)).astype(np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(3, 22)
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        if rng.random() < 0.5:
            draw.ellipse((x - r, y - r * 0.7, x + r, y + r * 0.7), colour)
        else:
            draw.line((x, y, *rng.uniform(0, 120, 2)), colour, int(rng.integers(2, 6)))
    return image.filter(ImageFilter.GaussianBlur(0.7))


def soft(seed: int) -> Image.Image:
    """36 pixels a side, without fine detail."""
    return drawn(seed).filter(ImageFilter.GaussianBlur(8)).resize((36, 36))


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def part(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    w, h = image.size
    return image.crop((int(left * w), int(top * h), int(right * w), int(bottom * h)))


def cut_out(image: Image.Image) -> Image.Image:
    image = image.copy()
    ImageDraw.Draw(image).rectangle((10, 20, 60, 70), (200, 0, 90))
    return image


CHANGES = {
    "exact": lambda image: image,
    "resized": lambda image: image.resize((image.width * 2 // 3, image.height * 2 // 3)),
    "recompressed": lambda image: recompressed(image, 55),
    "brighter": lambda image: image.point(lambda v: min(255, v + 35)),
    "darker": lambda image: image.point(lambda v: round(v * 0.7)),
    "contrast": lambda image: image.point(lambda v: round(125 + (v - 125) * 0.5)),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "flipped": ImageOps.mirror,
    "flipped, cropped, darker": lambda image: part(ImageOps.mirror(image), 0.1, 0, 1, 0.9).point(lambda v: v // 2),
    "flipped upside down": ImageOps.flip,
    "rotated by a quarter": lambda image: image.rotate(90, expand=True),
    "rotated by 7 degrees": lambda image: part(image.rotate(7, Image.Resampling.BICUBIC), 0.1, 0.1, 0.9, 0.9),
    "cropped": lambda image: part(image, 0.15, 0.2, 0.95, 0.9),
    "cropped by a border": lambda image: ImageOps.expand(image, 17, (250, 240, 0)),
    "shifted": lambda image: Image.fromarray(np.pad(image, ((14, 0), (17, 0), (0, 0)))[:-14, :-17]),
    "near": cut_out,
}


def named(change: str) -> set[str]:
    """What `change` may be called: the cut-out is small, so it may look like a change of tone."""
    return {"near", "darker", "brighter", "recompressed"} if change == "near" else {change.replace(",", "").split()[0]}


def pairs_of(pictures: list) -> list[Pair]:
    arrays = [np.asarray(picture) for picture in pictures]
    hashes = [hashlib.sha256(repr(a.shape).encode() + a.tobytes()).hexdigest() for a in arrays]
    return find_pairs(arrays.__getitem__, hashes, [a.shape[:2] for a in arrays], seed=0)


@pytest.fixture(scope="module")
def originals():
    return [drawn(seed) for seed in range(40)]


@pytest.fixture(scope="module")
def planted(originals):
    """40 pictures, then one changed copy of each of the first."""
    return originals + [change(originals[i]) for i, change in enumerate(CHANGES.values())]


@pytest.fixture(scope="module")
def pairs(planted):
    return pairs_of(planted)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(CHANGES)), ids=list(CHANGES))
def test_a_changed_copy_is_detected_and_the_change_named(pairs, place):
    pair = next(pair for pair in pairs if pair.b == 40 + place)
    assert pair.a == place
    assert pair.kind in named(list(CHANGES)[place])
    assert pair.evidence >= 1
    assert 0.6 < pair.similarity <= 1


def test_nothing_else_is_a_pair(pairs):
    assert [(pair.a, pair.b) for pair in pairs] == [(i, 40 + i) for i in range(len(CHANGES))]


def test_pictures_of_one_texture_are_no_copies():
    """A hundred pieces of one pattern, a disc on each: much alike, and none made from another."""
    rng = np.random.default_rng(3)
    pattern = Image.fromarray(rng.integers(0, 256, (400, 400, 3), dtype=np.uint8)).filter(ImageFilter.GaussianBlur(2))
    pattern = ImageOps.autocontrast(pattern)
    pieces = [pattern.crop((x, y, x + 80, y + 80)) for x in range(0, 400, 80) for y in range(0, 400, 80)]
    for piece in pieces:
        x, y = rng.uniform(20, 60, 2)
        ImageDraw.Draw(piece).ellipse((x - 15, y - 15, x + 15, y + 15), (220, 30, 30))
    assert pairs_of(pieces) == []


def test_digits_have_none():
    digits = Digits().images
    assert pairs_of(list(np.repeat(digits[..., None], 3, axis=3))) == []


def test_small_copies_are_detected_by_thumbnails():
    digits = np.repeat(Digits().images[:500, ..., None], 3, axis=3)
    copies = [digits[3] // 2, digits[4][:, ::-1], np.rot90(digits[5]), 255 - (255 - digits[6].astype(int)) // 2]
    pairs = pairs_of([*digits, *(np.ascontiguousarray(copy).astype(np.uint8) for copy in copies)])
    assert [(pair.a, pair.b, pair.kind) for pair in pairs] == [
        (3, 500, "darker"),
        (4, 501, "flipped"),
        (5, 502, "rotated"),
        (6, 503, "brighter"),
    ]
    assert all(pair.inliers == 0 and pair.similarity > 0.99 for pair in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_order_of_the_rows_changes_no_pair(planted, pairs, seed):
    order = np.random.default_rng(seed).permutation(len(planted))
    again = pairs_of([planted[row] for row in order])
    back = {frozenset((int(order[pair.a]), int(order[pair.b]))): pair for pair in again}
    assert len(back) == len(again) == len(pairs)
    opposite = {"brighter": "darker", "darker": "brighter"}
    for pair in pairs:
        other = back[frozenset((pair.a, pair.b))]
        kind = pair.kind if order[other.a] == pair.a else opposite.get(pair.kind, pair.kind)
        assert (kind, pair.similarity, pair.inliers, pair.evidence) == (
            other.kind,
            other.similarity,
            other.inliers,
            other.evidence,
        )


@pytest.mark.slow
def test_again_the_same_bits(planted, pairs):
    assert pairs_of(planted) == pairs


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_equal_inputs_are_one_group_and_no_other_is(contents):
    """Blank pictures, of which each looks like any other, are copies only where they are equal."""
    pictures = [np.full((9, 12, 3), 50 * content, np.uint8) for content in contents]
    pairs = pairs_of(pictures)
    assert {pair.kind for pair in pairs} <= {"exact"}
    assert len(pairs) == len(contents) - len(set(contents))
    group = linked_groups(map(str, range(len(contents))), [(str(pair.a), str(pair.b)) for pair in pairs])
    assert all(
        (group[str(i)] == group[str(j)]) == (a == b) for i, a in enumerate(contents) for j, b in enumerate(contents)
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (300, 2), (50, 50)])
def test_odd_sizes_break_nothing(shape):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for _ in range(12)]
    assert all(pair.a < pair.b < 13 for pair in pairs_of([*pictures, pictures[0]]))


def test_small_shifted_copies_are_detected():
    """Of 32 pixels, moved by one or two: too small for corners."""
    pictures = [soft(seed).crop((2, 2, 34, 34)) for seed in range(60)]
    copies = [soft(0).crop((0, 1, 32, 33)), ImageOps.mirror(soft(1).crop((4, 2, 36, 34)))]
    pairs = pairs_of([*pictures, *copies])
    assert [(pair.a, pair.b, pair.kind) for pair in pairs] == [(0, 60, "shifted"), (1, 61, "flipped")]
    assert all(pair.similarity > 0.98 for pair in pairs)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, -2), (-4, 1)])
def test_a_shift_is_measured(x, y):
    grey = np.asarray(drawn(5).convert("L").resize((60, 60)), float)
    there, here = grey[14:46, 14:46], grey[14 + y : 46 + y, 14 + x : 46 + x]
    *shift, gain = shift_between(there, here)
    assert shift == [x, y]
    assert gain == pytest.approx(0 if (x, y) != (0, 0) else gain, abs=1e-3)


def test_every_turn_is_registered_to_its_picture():
    a = np.asarray(drawn(3))
    for quarters, mirror in TURNS:
        b = np.rot90(a, quarters)
        b = np.ascontiguousarray(b[:, ::-1] if mirror else b)
        registration = quarter_turned(quarters, mirror, a.shape[:2], b.shape[:2])
        assert registration.mirror == mirror
        similarity, kind = compare(a, b, (a.shape[:2], b.shape[:2]), registration)
        assert similarity > 0.98
        assert kind == ("flipped" if mirror else "rotated" if quarters else "recompressed")


def test_parts_of_the_space_hold_the_nearest(monkeypatch):
    """Searched in parts, the nearest is what it is among all."""
    pictures = np.stack([thumbnail(np.asarray(drawn(seed))) for seed in range(60)])
    rng = np.random.default_rng(0)
    many = np.concatenate([pictures + rng.normal(0, 0.01, pictures.shape) for _ in range(12)]).astype(np.float32)
    many /= np.linalg.norm(many, axis=(1, 2), keepdims=True)
    whole = nearest_thumbnails(many)
    monkeypatch.setattr("recipe.stages.audit.duplicates.thumbnails.CELL", 40)
    parted = nearest_thumbnails(many)
    for w, p, (quarters, mirror) in zip(whole, parted, TURNS, strict=True):
        if quarters == 0 and not mirror:  # here each has copies; where it has none, a far one may be missed
            assert np.mean(w.distance[:, 0] == p.distance[:, 0]) > 0.99
        assert np.allclose(p.distance[0, 0], np.linalg.norm(turned(many, quarters, mirror)[0] - many[p.index[0, 0]]))
