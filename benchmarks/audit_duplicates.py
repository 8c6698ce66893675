"""Near duplicates among photographs: recall at 95 % precision, against pHash and cleanvision. Prints Markdown.

    python benchmarks/audit_duplicates.py --data DIR --family fresh

DIR holds natural_ants_bees/ (photographs in class folders) and cifar10/ (JPEGs in parquet). Half of the photographs are
copied by random transforms. Strangers are the quarters of the other half, which share their backgrounds, and CIFAR-10
pictures made larger. The family `tune`, of the even photographs, is the one that the constants of recipe.stages.audit
were chosen on; `fresh`, other transforms of the odd photographs, is the one to report. A pair of two copies of one
original counts neither way; every other pair that was not planted is wrong, though some are true."""

import argparse
import hashlib
import io
import itertools
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIDE = 256  # pixels, the longest side that a picture has
STRANGERS = 3000


# ---- transforms: (rng, PIL image) -> PIL image -----------------------------------------------------------------


def jpeg(image, quality: int):
    from PIL import Image

    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def crop(rng, image, low: float, high: float):
    """A part of `low` to `high` of the area, anywhere."""
    share = np.sqrt(rng.uniform(low, high))
    squeeze = rng.uniform(0.93, 1.07)
    w = min(image.width, round(image.width * share * squeeze))
    h = min(image.height, round(image.height * share / squeeze))
    x, y = rng.integers(0, image.width - w + 1), rng.integers(0, image.height - h + 1)
    return image.crop((x, y, x + w, y + h))


def rotate(rng, image, low: float, high: float):
    """By an angle in degrees, either way, without the black corners."""
    from PIL import Image

    angle = rng.uniform(low, high) * rng.choice([-1, 1])
    turned = image.rotate(angle, Image.Resampling.BICUBIC)
    s, c = np.sin(np.radians(abs(angle))), np.cos(np.radians(angle))
    w, h = image.size
    k = min(w / (w * c + h * s), h / (w * s + h * c))
    x, y = w * (1 - k) / 2, h * (1 - k) / 2
    return turned.crop((round(x), round(y), round(w - x), round(h - y)))


def jitter(rng, image, strength: float):
    from PIL import ImageEnhance

    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = change(image).enhance(rng.uniform(1 - strength, 1 + strength))
    return image


def border(rng, image):
    from PIL import ImageOps

    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    return ImageOps.expand(image, round(min(image.size) * rng.uniform(0.04, 0.15)), colour)


def perspective(rng, image):
    from PIL import Image

    w, h = image.size
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], float)
    inner = corners + rng.uniform(0, 0.12, (4, 2)) * [w, h] * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, inner, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return image.transform((w, h), Image.Transform.PERSPECTIVE, np.linalg.solve(rows, values), Image.Resampling.BICUBIC)


def cut_out(rng, image):
    pixels = np.array(image)
    for _ in range(2):
        h, w = (int(side * rng.uniform(0.2, 0.4)) for side in pixels.shape[:2])
        y, x = rng.integers(0, pixels.shape[0] - h), rng.integers(0, pixels.shape[1] - w)
        pixels[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return _image(pixels)


def hue(rng, image):
    pixels = np.array(image.convert("HSV"))
    pixels[..., 0] += np.uint8(rng.integers(30, 226))
    from PIL import Image

    return Image.fromarray(pixels, "HSV").convert("RGB")


def blur(rng, image):
    from PIL import ImageFilter

    return image.filter(ImageFilter.GaussianBlur(rng.uniform(1.0, 2.5)))


def gamma(rng, image):
    power = np.exp(rng.uniform(0.25, 0.8) * rng.choice([-1, 1]))
    return image.point(lambda v: round(255 * (v / 255) ** power))


def resize(image, longest: int):
    k = longest / max(image.size)
    return image.resize((max(1, round(image.width * k)), max(1, round(image.height * k))))


def text_bar(rng, image):
    from PIL import ImageDraw

    image = image.copy()
    draw, height = ImageDraw.Draw(image), round(image.height * rng.uniform(0.12, 0.25))
    top = rng.choice([0, image.height - height])
    draw.rectangle((0, top, image.width, top + height), tuple(int(v) for v in rng.integers(0, 256, 3)))
    draw.text((4, top + 2), "".join(rng.choice(list("abcdefgh klmnop"), 24)), (255, 255, 255), font_size=height * 0.6)
    return image


def mirror(image):
    from PIL import ImageOps

    return ImageOps.mirror(image)


def squeeze(rng, image):
    return image.resize((round(image.width * rng.uniform(0.75, 0.95)), image.height))


def noise(rng, image):
    pixels = np.array(image, np.float32)
    return _image(np.clip(pixels + rng.normal(0, rng.uniform(5, 20), pixels.shape), 0, 255).astype(np.uint8))


def shift(rng, image):
    pixels = np.array(image)
    dx, dy = (int(side * rng.uniform(0.05, 0.15)) for side in (image.width, image.height))
    return _image(np.pad(pixels, ((dy, 0), (dx, 0), (0, 0)))[: image.height, : image.width])


def disc(rng, image):
    """A logo that covers a part."""
    from PIL import ImageDraw

    image = image.copy()
    r = min(image.size) * rng.uniform(0.15, 0.25)
    x, y = rng.uniform(r, image.width - r), rng.uniform(r, image.height - r)
    ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), (200, 30, 30))
    return image


def _image(pixels: np.ndarray):
    from PIL import Image

    return Image.fromarray(pixels)


FAMILIES = {
    "tune": {
        "noise": noise,
        "grey": lambda rng, image: image.convert("L").convert("RGB"),
        "shift": shift,
        "disc": disc,
        "squeeze": squeeze,
        "quarter turn": lambda rng, image: image.rotate(90, expand=True),
        "contrast": lambda rng, image: jpeg(image.point(lambda v: round(128 + (v - 128) * 0.5)), 60),
        "inner crop": lambda rng, image: crop(rng, image, 0.45, 0.95),
        "turn and scale": lambda rng, image: resize(rotate(rng, image, 9, 20), 140),
        "mirror and crop": lambda rng, image: crop(rng, mirror(image), 0.6, 0.9),
        "posterize": lambda rng, image: image.point(lambda v: v & 0xC0),
        "sepia, low quality": lambda rng, image: jpeg(image.convert("L").convert("RGB"), 12),
    },
    "fresh": {
        "crop 40-90 %": lambda rng, image: crop(rng, image, 0.4, 0.9),
        "rotate 3-8 degrees": lambda rng, image: rotate(rng, image, 3, 8),
        "border": border,
        "perspective": perspective,
        "cut-out": cut_out,
        "hue": hue,
        "blur": blur,
        "gamma": gamma,
        "jitter": lambda rng, image: jitter(rng, image, 0.4),
        "JPEG 20-50": lambda rng, image: jpeg(image, int(rng.integers(20, 51))),
        "96-pixel copy": lambda rng, image: resize(image, 96),
        "mirror, rotate, jitter": lambda rng, image: jitter(rng, rotate(rng, mirror(image), 3, 8), 0.3),
        "text bar": text_bar,
    },
}


# ---- population ------------------------------------------------------------------------------------------------


def population(data: Path, family: str, per_kind: int, seed: int):
    """(pictures, [(row of the original, row of the copy, kind)]); pictures are (H, W, 3) uint8."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    files = sorted(file for file in (data / "natural_ants_bees").glob("*/*/*.jpg"))
    pictures = []
    half = ["tune", "fresh"].index(family)
    pictures = [resize(Image.open(file).convert("RGB"), SIDE) for file in files[half::2]]
    originals = len(pictures)
    for file in files[1 - half :: 2]:
        image = Image.open(file).convert("RGB")
        w, h = image.width // 2, image.height // 2
        pictures += [resize(image.crop((x, y, x + w, y + h)), SIDE) for x in (0, w) for y in (0, h)]
    pictures += strangers(data, family, STRANGERS)
    planted, deck = [], []
    for kind, change in FAMILIES[family].items():
        for _ in range(per_kind):
            deck = deck or rng.permutation(originals).tolist()
            original = deck.pop()
            copy = jpeg(change(rng, pictures[original]), 90)
            planted.append((original, len(pictures), kind))
            pictures.append(copy)
    return [np.asarray(picture) for picture in pictures], planted


def strangers(data: Path, family: str, count: int) -> list:
    """CIFAR-10 pictures, enlarged, of which no two correlate by over 0.8: the data set itself contains copies."""
    from PIL import Image
    from pyarrow import parquet

    name = {"tune": "test_jpeg.parquet", "fresh": "train_jpeg.parquet"}[family]
    files = parquet.read_table(data / "cifar10" / name)["image"].to_pylist()[: 3 * count]
    images = [Image.open(io.BytesIO(b)).convert("RGB") for b in files]
    grey = np.stack([np.asarray(image.convert("L").resize((16, 16)), float) for image in images])
    grey -= grey.mean((1, 2), keepdims=True)
    grey /= np.linalg.norm(grey, axis=(1, 2), keepdims=True) + 1e-9
    flat = grey.reshape(len(grey), -1)
    alike = np.maximum(flat @ flat.T, flat @ grey[:, :, ::-1].reshape(len(grey), -1).T)
    np.fill_diagonal(alike, 0)
    alone = np.flatnonzero(alike.max(1) < 0.8)[:count]
    return [images[i].resize((128, 128), Image.Resampling.BICUBIC) for i in alone]


# ---- methods: pictures -> [(a, b, score)], the surest first, and what the method itself would report --------------


def ours(pictures: list[np.ndarray]) -> tuple[list, list]:
    from recipe.stages.audit.duplicates.search import find_pairs

    hashes = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures]
    candidates = find_pairs(pictures.__getitem__, hashes, [picture.shape[:2] for picture in pictures], seed=0)
    ranked = sorted(((pair.a, pair.b, pair.evidence) for pair in candidates), key=lambda pair: -pair[2])
    return ranked, ranked


def phash(pictures: list[np.ndarray], most: int) -> tuple[list, list]:
    """The 64 lowest cosines of 32 x 32 grey levels against their median: imagehash's phash; `most` bits may differ."""
    from PIL import Image
    from scipy.fft import dct

    codes = []
    for picture in pictures:
        grey = np.asarray(Image.fromarray(picture).convert("L").resize((32, 32), Image.Resampling.LANCZOS), float)
        low = dct(dct(grey, axis=0), axis=1)[:8, :8].ravel()
        codes.append(np.packbits(low > np.median(low)).view(np.uint64)[0])
    apart = np.bitwise_count(np.array(codes)[:, None] ^ np.array(codes)[None])
    a, b = np.nonzero(np.triu(apart <= 24, 1))
    ranked = sorted(
        zip(a.tolist(), b.tolist(), (-apart[a, b].astype(float)).tolist(), strict=True), key=lambda p: -p[2]
    )
    return ranked, [pair for pair in ranked if -pair[2] <= most]


METHODS = {
    "recipe": ours,
    "pHash, d = 0 (cleanvision)": lambda pictures: phash(pictures, 0),
    "pHash, d <= 10 (imagededup)": lambda pictures: phash(pictures, 10),
}


@dataclass(frozen=True)
class Score:
    recall: float  # where precision is still 95 %, over every threshold
    kinds: dict[str, float]  # the same, by transform
    precision: float  # of what the method reports without a threshold of ours
    reported: float  # recall of that


def score(ranked: list, reported: list, planted: list, precision: float = 0.95) -> Score:
    """Pairs of equal score are counted together."""
    kinds = {(original, copy): kind for original, copy, kind in planted}
    of = {copy: original for original, copy, _ in planted}

    def judged(pairs):
        hits = [pair for pair in pairs if pair[:2] in kinds]
        wrong = [p for p in pairs if p[:2] not in kinds and of.get(p[0], p[0]) != of.get(p[1], p[1])]
        return hits, len(hits) / max(len(hits) + len(wrong), 1)

    best = []
    for _, tied in itertools.groupby(list(enumerate(ranked)), key=lambda item: item[1][2]):
        hits, right = judged(ranked[: list(tied)[-1][0] + 1])
        best = hits if right >= precision else best
    total, got = Counter(kinds.values()), Counter(kinds[pair[:2]] for pair in best)
    hits, right = judged(reported)
    return Score(len(best) / len(kinds), {k: got[k] / total[k] for k in total}, right, len(hits) / len(kinds))


def measure(data: Path, family: str, per_kind: int, seeds: range) -> str:
    """The table, a row per method, means over the populations drawn with `seeds`."""
    kinds = list(FAMILIES[family])
    lines = [
        f"| method | recall at P 95 | its own threshold: P, R | {' | '.join(kinds)} | CPU-s |",
        "| --- |" + " --- |" * (len(kinds) + 3),
    ]
    populations = [population(data, family, per_kind, seed) for seed in seeds]
    for name, method in METHODS.items():
        scores, spent = [], 0.0
        for pictures, planted in populations:
            start = time.process_time()
            candidates = method(pictures)
            spent += time.process_time() - start
            scores.append(score(*candidates, planted))
        mean = [f"{100 * np.mean([s.kinds[kind] for s in scores]):.0f}" for kind in kinds]
        own = f"{np.mean([s.precision for s in scores]):.3f}, {np.mean([s.reported for s in scores]):.3f}"
        recall = np.mean([s.recall for s in scores])
        lines.append(f"| {name} | {recall:.3f} | {own} | {' | '.join(mean)} | {spent / len(scores):.0f} |")
    count = np.mean([len(pictures) for pictures, _ in populations])
    lines.append(f"\n{count:.0f} pictures, {per_kind * len(kinds)} copies, mean of {len(seeds)} populations.")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--family", choices=list(FAMILIES), default="fresh")
    parser.add_argument("--per-kind", type=int, default=16)
    parser.add_argument("--populations", type=int, default=3)
    chosen = parser.parse_args()
    if not (chosen.data / "natural_ants_bees").is_dir():
        parser.exit(f"skipped: {chosen.data} has no natural_ants_bees/\n")
    print(measure(chosen.data, chosen.family, chosen.per_kind, range(1, chosen.populations + 1)))
