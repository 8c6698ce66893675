"""The digits with planted defects, by which the audit is demonstrated and scored."""

import io

import numpy as np

from recipe.sources.digits import Digits

# kind: how many, and what is done. No example has two defects.
PLANTED = {
    "exact copy": 20,  # the same pixels once more
    "near copy": 20,  # once more, paler (0.8) or with noise of 2 % of the range
    "copy with another label": 12,  # the same pixels once more, under another class
    "wrong label": 40,  # one of the other nine classes, drawn evenly
    "blank": 8,  # one grey level
    "truncated file": 6,  # cut at 60 % of its bytes
    "empty file": 2,
    "no image": 2,  # a text with an image's name
}
LEAK = 7  # every example of this class has a bright pixel in its upper left corner


class DigitsFlawed:
    """The digits as PNG files in memory, with the flaws of PLANTED, drawn from `seed`, and one class with a LEAK.

    flaws: a dict per planted example, in order: index, flaw, label (the true one), of (index of the original, for
    copies). The leak is listed once, with an empty index. Examples without a flaw have the same ids as in `digits`.
    """

    classes = Digits.classes

    def __init__(self, seed: int = 0):
        source, draw = Digits(), np.random.default_rng(seed)
        images, true = source.images.copy(), source.targets.astype(int)
        images[true == LEAK, 0, 0] = 255
        chosen = iter(draw.permutation(len(images)).tolist())
        self.flaws = [{"index": None, "flaw": "leak", "label": LEAK, "of": None}]
        pictures, targets = [images[i] for i in range(len(images))], true.tolist()
        broken = {}
        for flaw, count in PLANTED.items():
            for _ in range(count):
                at = next(chosen)
                original = at if "copy" in flaw else None
                if "copy" in flaw:
                    pictures.append(_again(images[at], flaw, draw))
                    targets.append(int(true[at]))
                    at = len(pictures) - 1
                self.flaws.append({"index": at, "flaw": flaw, "label": targets[at], "of": original})
                if "label" in flaw:
                    targets[at] = int((targets[at] + draw.integers(1, 10)) % 10)
                elif flaw == "blank":
                    pictures[at] = np.full((8, 8), draw.integers(0, 256), np.uint8)
                elif "copy" not in flaw:
                    broken[at] = flaw
        self.targets = targets
        self.names = [f"digit-{at:04d}.png" for at in range(len(pictures))]
        self.files = [_broken(_png(picture), broken.get(at)) for at, picture in enumerate(pictures)]

    def __len__(self) -> int:
        return len(self.files)

    def encoded(self, index: int) -> tuple[str, bytes]:
        return self.names[index], self.files[index]


def _again(image: np.ndarray, flaw: str, draw: np.random.Generator) -> np.ndarray:
    if flaw != "near copy":
        return image
    changed = image * 0.8 if draw.integers(2) else image + draw.normal(0, 0.02 * 255, image.shape)
    return np.rint(changed.clip(0, 255)).astype(np.uint8)


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def _broken(file: bytes, flaw: str | None) -> bytes:
    if flaw == "truncated file":
        return file[: int(0.6 * len(file))]
    return {"empty file": b"", "no image": b"404 Not Found\n"}.get(flaw or "", file)
