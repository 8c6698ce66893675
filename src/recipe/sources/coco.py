"""Object annotations in COCO's format, summarised as columns: one row per image.

Source: Lin et al. 2014, "Microsoft COCO: Common Objects in Context"; boxes are [left, top, width, height] in pixels.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recipe.errors import RecipeError
from recipe.problems import CONTRADICTION, NO_FILE, Problem

TOUCHES = 1.0  # pixels from the border within which an object counts as truncated by it

COLUMNS = {
    "ann_count": "annotations of the image, crowds included",
    "ann_categories": "different categories among them",
    "ann_crowd": "annotations of a crowd (iscrowd), one box around many objects",
    "ann_size_min": "pixels: square root of the area of the smallest box inside the image; crowds and boxes without "
    "area are left out, as in the next five columns",
    "ann_size_median": "pixels: of the median box",
    "ann_size_max": "pixels: of the largest box",
    "ann_share_min": "area of the smallest box over that of the image; 0 to 1",
    "ann_share_median": "of the median box; 0 to 1",
    "ann_share_max": "of the largest box; 0 to 1",
    "ann_truncated": "boxes that come within a pixel of the image's border",
    "ann_outside": "boxes that extend beyond the border by more than a pixel",
    "ann_no_area": "boxes without width or height, or with a negative one",
    "ann_overlap": "largest intersection over union of two boxes; 0 to 1, missing below two",
    "ann_width": "pixels: the image's width in the annotations",
    "ann_height": "pixels: the image's height in the annotations",
}


@dataclass(frozen=True)
class Annotations:
    """columns: {name in COLUMNS: a value per image}; files: its file_name; places: its position in the json."""

    files: list[str]
    places: list[str]
    columns: dict[str, list]
    problems: list[Problem] = field(default_factory=list)


def read_annotations(path: Path | str) -> Annotations:
    """Reads a json; raises RecipeError with the entry where it is missing or not in COCO's format."""
    path = Path(path)
    images, boxes, categories = _entries(path)
    problems, by_image = [], defaultdict(list)
    known = {image["id"] for image in images}
    if len(known) < len(images):
        raise RecipeError(f"{path}: two images have the same `id`.")
    for at, box in enumerate(boxes):
        place = f"{path.name}, annotation {at}"
        if box["image_id"] not in known:
            problems.append(Problem(NO_FILE, place, f"no image has the id {box['image_id']!r}"))
        elif categories and box["category_id"] not in categories:
            problems.append(Problem(CONTRADICTION, place, f"no category has the id {box['category_id']!r}"))
        by_image[box["image_id"]].append(box)
    rows = [_summary(by_image[image["id"]], image["width"], image["height"]) for image in images]
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    places = [f"{path.name}, image {at}" for at in range(len(images))]
    return Annotations([str(image["file_name"]) for image in images], places, columns, problems)


def _entries(path: Path) -> tuple[list[dict], list[dict], set]:
    """(images, annotations, ids of the categories); every field in use exists and has the right type."""
    if not path.is_file():
        raise RecipeError(f"{path} is missing: `annotations` names a json file below the root of the images.")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path} is not valid JSON: {error}") from None
    number = (int, float)
    forms: dict[str, dict[str, Any]] = {
        "images": {"id": (int, str), "file_name": str, "width": number, "height": number},
        "annotations": {"image_id": (int, str), "category_id": (int, str), "bbox": list},
    }
    for part, fields in forms.items():
        entries = content.get(part) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise RecipeError(f"{path} is not in COCO's format: it has no list `{part}`.")
        for at, entry in enumerate(entries):
            for name, kind in fields.items():
                if not isinstance(entry, dict) or not isinstance(entry.get(name), kind):
                    raise RecipeError(f"{path}, {part}[{at}]: `{name}` is missing or of another type than in COCO.")
            box = entry.get("bbox") if part == "annotations" else None
            if box is not None and (len(box) != 4 or not all(isinstance(v, number) for v in box)):
                raise RecipeError(f"{path}, {part}[{at}]: `bbox` must be [left, top, width, height], it is {box}.")
            if part == "images" and min(entry["width"], entry["height"]) <= 0:
                raise RecipeError(f"{path}, {part}[{at}]: an image of {entry['width']} x {entry['height']} pixels.")
    listed = content.get("categories")
    categories = {c["id"] for c in listed if isinstance(c, dict) and "id" in c} if isinstance(listed, list) else set()
    return content["images"], content["annotations"], categories


def _summary(boxes: list[dict], width: float, height: float) -> dict:
    """The columns of one image."""
    xywh = np.array([box["bbox"] for box in boxes], float).reshape(-1, 4)
    crowd = np.array([bool(box.get("iscrowd")) for box in boxes], bool)
    low, high = xywh[:, :2], xywh[:, :2] + xywh[:, 2:]
    border = np.array([width, height], float)
    empty = (xywh[:, 2:] <= 0).any(1)
    inside = np.minimum(high, border).clip(0) - np.maximum(low, 0)
    area = inside.clip(0).prod(1)[~crowd & ~empty]
    ranks: dict[str, Callable] = {"min": np.min, "median": np.median, "max": np.max}
    size = {f"ann_size_{n}": float(f(np.sqrt(area))) if len(area) else None for n, f in ranks.items()}
    share = {f"ann_share_{n}": float(f(area / border.prod())) if len(area) else None for n, f in ranks.items()}
    near = (low <= TOUCHES).any(1) | (high >= border - TOUCHES).any(1)
    return {
        "ann_count": len(boxes),
        "ann_categories": len({box["category_id"] for box in boxes}),
        "ann_crowd": int(crowd.sum()),
        **size,
        **share,
        "ann_truncated": int((near & ~empty).sum()),
        "ann_outside": int(((low < -TOUCHES) | (high > border + TOUCHES)).any(1).sum()),
        "ann_no_area": int(empty.sum()),
        "ann_overlap": _overlap(low[~crowd & ~empty], high[~crowd & ~empty]),
        "ann_width": int(width),
        "ann_height": int(height),
    }


def _overlap(low: np.ndarray, high: np.ndarray) -> float | None:
    """Largest intersection over union of two boxes, given by their low and high corners (n, 2)."""
    if len(low) < 2:
        return None
    shared = (np.minimum(high[:, None], high) - np.maximum(low[:, None], low)).clip(0).prod(2)
    area = (high - low).prod(1)
    union = area[:, None] + area - shared
    return float((shared / union)[~np.eye(len(low), dtype=bool)].max())
