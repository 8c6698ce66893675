"""The canonical store: whatever the source was, one array of inputs and one row per example.

inputs.npy    (N, C, H, W) uint8, or float32 where the source gave floats; read by memory map, row by row
examples.csv  id, row, hash, label, class, source
store.json    the data config, classes, shape, and the fingerprint of all contents
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recipe.errors import RecipeError
from recipe.files import present, read_csv, read_json, replacing, write_csv, write_json

FORM = "A data set is what torchvision's are: len(d), d[i] -> (image, int), and d.classes (names, in label order)."


@dataclass
class Prepared:
    """What came out of reading a source; its checks are in checks/prepare.py."""

    rows: list[dict] = field(default_factory=list)
    problems: list[dict] = field(default_factory=list)  # source, problem, detail: every one, not the first
    classes: list[str] = field(default_factory=list)
    total: int = 0

    def count(self, problem: str) -> int:
        return sum(p["problem"] == problem for p in self.problems)


def prepare(source, config: dict, out: Path) -> Prepared:
    """Reads every example of `source` once and writes the store to `out`.

    An example that cannot be read or has an unknown label is listed in `problems`, never dropped in silence.
    """
    classes = [str(c) for c in getattr(source, "classes", ())]
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__") and classes):
        raise RecipeError(f"{type(source).__name__} is not a data set. {FORM}")
    result = Prepared(classes=classes, total=len(source))
    arrays, seen = [], Counter()
    for index in range(len(source)):
        array, label = _read(source, index, result)
        if array is None:
            continue
        content = hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()
        seen[content] += 1
        # from the content, so that a decision about an example outlives a reordered source
        name = content[:12] if seen[content] == 1 else f"{content[:12]}-{seen[content]}"
        row = {"id": name, "row": len(arrays), "hash": content, "label": label, "class": classes[label]}
        result.rows.append(row | {"source": index})
        arrays.append(array)
    _write(result, arrays, config, out)
    return result


def _read(source, index: int, result: Prepared):
    """(array (C, H, W), label), or (None, None) with the problem noted."""

    def problem(kind: str, detail: str):
        result.problems.append({"source": index, "problem": kind, "detail": detail})
        return None, None

    try:
        item = source[index]
    except Exception as error:  # a decoder may raise anything; a bad file is a finding
        return problem("unreadable", f"{type(error).__name__}: {error}")
    if not isinstance(item, tuple) or len(item) != 2:
        raise RecipeError(f"{type(source).__name__}[{index}] is not a pair of image and label. {FORM}")
    image, label = item
    array = _array(image)
    if array is None:
        return problem("unreadable", f"an image of type {type(image).__name__} is not known")
    if not isinstance(label, (int, np.integer)) or isinstance(label, bool):
        label = label.item() if hasattr(label, "item") and getattr(label, "size", 1) in (1, ()) else label
    if not isinstance(label, (int, np.integer)) or not 0 <= label < len(result.classes):
        return problem("unknown label", f"label {label!r}; known are 0 to {len(result.classes) - 1}")
    return array, int(label)


def _array(image) -> np.ndarray | None:
    """(C, H, W), uint8 or float32. Tensors are channels first, PIL images and arrays channels last, as in torchvision."""
    channels_first = hasattr(image, "detach")
    array = image.detach().cpu().numpy() if channels_first else np.asarray(image)
    if array.dtype == object or array.ndim not in (2, 3):
        return None
    if array.ndim == 2:
        array = array[None]
    elif not channels_first:
        array = array.transpose(2, 0, 1)
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    return np.ascontiguousarray(array if array.dtype == np.uint8 else array.astype(np.float32))


def _write(result: Prepared, arrays: list, config: dict, out: Path) -> None:
    shapes = Counter((a.shape, a.dtype) for a in arrays)
    if not arrays:
        raise RecipeError(f"not one of {result.total} examples could be read; the first: {result.problems[:1]}")
    shape, dtype = shapes.most_common(1)[0][0]
    for row, array in zip(result.rows, arrays, strict=True):
        if (array.shape, array.dtype) != (shape, dtype):
            detail = f"{array.dtype} {array.shape}, most are {dtype} {shape}"
            result.problems.append({"source": row["source"], "problem": "odd shape", "detail": detail})
    write_csv(out / "examples.csv", result.rows)
    with replacing(out / "inputs.npy") as temporary:
        if len(shapes) > 1:  # the gate closes; what there is of one shape is kept as evidence
            arrays = [a if (a.shape, a.dtype) == (shape, dtype) else np.zeros(shape, dtype) for a in arrays]
        np.save(temporary, np.stack(arrays))
    every = hashlib.sha256("".join(f"{r['hash']}{r['label']}" for r in result.rows).encode()).hexdigest()
    facts = {"data": config, "classes": result.classes, "shape": list(shape), "dtype": str(dtype)}
    write_json(out / "store.json", facts | {"examples": len(arrays), "fingerprint": every})


@dataclass(frozen=True)
class Store:
    """What prepare wrote, opened; inputs stay on disk until a row is asked for."""

    inputs: np.ndarray
    classes: list[str]
    fingerprint: str
    folder: Path

    @classmethod
    def open(cls, config: dict, folder: Path = Path("runs/prepare")) -> "Store":
        """Raises RecipeError where the store holds another data set than `config` asks for."""
        facts = read_json(folder / "store.json")
        if facts["data"] != config:
            raise RecipeError(
                f"{folder} holds {facts['data']['_target_']}, the configuration asks for {config['_target_']}, or for "
                "other settings of it. Choose the data in params.yaml and type `dvc repro`, or compare data sets with "
                "`dvc exp run -S data=...`."
            )
        inputs = np.load(present(folder / "inputs.npy"), mmap_mode="r", allow_pickle=False)
        return cls(inputs, facts["classes"], facts["fingerprint"], folder)

    def examples(self) -> list[dict]:
        rows = read_csv(self.folder / "examples.csv")
        return [r | {"row": int(r["row"]), "label": int(r["label"]), "source": int(r["source"])} for r in rows]
