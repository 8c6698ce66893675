"""The canonical store: whatever the source was, one array of inputs and one row per example.

inputs.npy    (N, C, H, W) uint8, or float32 where the source gave anything else; opened as a memory map
examples.csv  id, row, hash, label, class, source (index in the data set), group (the source's own, or empty)
problems.csv  source, problem, detail: every example that is not in the store, and why
store.json    the data config, classes, shape, and the fingerprint of all contents
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recipe.data.images import as_array
from recipe.errors import RecipeError
from recipe.files import present, read_csv, read_json, replacing, write_csv, write_json

FORM = (
    "A data set is what torchvision's are: len(d), d[i] -> (image, int), and d.classes (names, in label order); "
    "the image a PIL image, an array (H, W[, C]) or a tensor ([C, ]H, W)."
)
UNREADABLE, UNKNOWN_LABEL, ODD_SHAPE = "unreadable", "unknown label", "odd shape"
REREAD = 32  # examples read a second time: a transform that draws random numbers shows in the first few
COLUMNS = ["id", "row", "hash", "label", "class", "source", "group"]


class Bad(Exception):
    """An example that cannot go into the store: (problem, detail)."""


@dataclass
class Prepared:
    """What came out of reading a source; the claims about it are in checks/prepare.py."""

    classes: list[str]
    total: int
    rows: list[dict] = field(default_factory=list)
    problems: list[dict] = field(default_factory=list)  # source, problem, detail: every one, not the first
    unrepeatable: int = 0  # examples that differ when read again
    shape: tuple = ()
    dtype: str = ""
    fingerprint: str = ""

    def count(self, problem: str) -> int:
        return sum(p["problem"] == problem for p in self.problems)

    def metrics(self) -> dict[str, int]:
        channels, height, width = self.shape
        sizes = {"classes": len(self.classes), "channels": channels, "height": height, "width": width}
        return {"examples": len(self.rows), "problems": len(self.problems)} | sizes

    def summary(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return (
            f"{len(self.rows):,} of {self.total:,} examples stored as {self.dtype} {shape} in {len(self.classes)} "
            f"classes; {len(self.problems):,} could not be."
        )


def prepare(source, config: dict, out: Path, say: Callable[[str], None] = lambda text: None) -> Prepared:
    """Reads every example of `source` and writes the store to `out`.

    An example that cannot be read, has an unknown label or another shape than most is not in the store but in
    problems.csv: never dropped in silence. Raises RecipeError where `source` is no data set at all.
    """
    result = Prepared(_classes(source), len(source))
    groups = _groups(source)
    found = []  # (source index, array, label)
    for index in range(result.total):
        try:
            found.append((index, *_read(source, index, result.classes)))
        except Bad as bad:
            result.problems.append({"source": index, "problem": bad.args[0], "detail": bad.args[1]})
        if index % 10_000 == 9_999:
            say(f"{index + 1:,} of {result.total:,} examples read")
    if not found:
        first = result.problems[0]["detail"] if result.problems else "it is empty"
        raise RecipeError(f"{_name(source)}: none of {result.total} examples could be read; {first}. {FORM}")
    found = _of_one_shape(found, result)
    result.unrepeatable = sum(_differs(source, *example, result.classes) for example in found[:REREAD])
    _write(result, found, groups, config, out)
    return result


def _name(source) -> str:
    return type(source).__name__


def _classes(source) -> list[str]:
    missing = [name for name in ("__len__", "__getitem__") if not hasattr(source, name)]
    if missing or not getattr(source, "classes", None):
        raise RecipeError(f"{_name(source)} is not a data set: it has no {(missing or ['classes'])[0]}. {FORM}")
    classes = [str(c) for c in source.classes]
    if twice := [c for c, n in Counter(classes).items() if n > 1]:
        raise RecipeError(f"{_name(source)}: the class `{twice[0]}` is named twice in d.classes.")
    return classes


def _groups(source) -> list[str]:
    """d.groups where the source has them: who wrote, which patient, which film; such a group stays in one split."""
    groups = getattr(source, "groups", None)
    if groups is None:
        return [""] * len(source)
    if len(groups) != len(source):
        raise RecipeError(f"{_name(source)}: d.groups has {len(groups)} entries for {len(source)} examples.")
    return [str(g) for g in groups]


def _read(source, index: int, classes: list[str]) -> tuple[np.ndarray, int]:
    """(array (C, H, W), label); raises Bad."""
    try:
        item = source[index]
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise TypeError(f"d[{index}] is a {type(item).__name__}, not a pair of image and label")
        array = as_array(item[0])  # here, too: PIL decodes a file only when its pixels are asked for
    except Exception as error:  # a decoder may raise anything; a bad file is a finding
        raise Bad(UNREADABLE, f"{type(error).__name__}: {error}") from None
    return array, _label(item[1], len(classes))


def _label(label, known: int) -> int:
    value = label.item() if math.prod(getattr(label, "shape", (0,))) == 1 else label  # of NumPy or torch
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < known:
        raise Bad(UNKNOWN_LABEL, f"label {value!r}; known are the whole numbers 0 to {known - 1}")
    return value


def _of_one_shape(found: list, result: Prepared) -> list:
    """The examples of the commonest shape and type; the others become problems."""
    counts = Counter((array.shape, str(array.dtype)) for _, array, _ in found)
    result.shape, result.dtype = counts.most_common(1)[0][0]
    kept = []
    for index, array, label in found:
        if (array.shape, str(array.dtype)) == (result.shape, result.dtype):
            kept.append((index, array, label))
        else:
            detail = f"{array.dtype} {array.shape}, most are {result.dtype} {result.shape} (channels, height, width)"
            result.problems.append({"source": index, "problem": ODD_SHAPE, "detail": detail})
    result.problems.sort(key=lambda p: p["source"])
    return kept


def _differs(source, index: int, array: np.ndarray, label: int, classes: list[str]) -> bool:
    try:
        again, label_again = _read(source, index, classes)
    except Bad:
        return True
    return label != label_again or again.tobytes() != array.tobytes()


def content_hash(array: np.ndarray) -> str:
    """Equal for equal pixels of equal shape and type, whatever file they came from."""
    return hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()


def _write(result: Prepared, found: list, groups: list[str], config: dict, out: Path) -> None:
    seen = Counter()
    with replacing(out / "inputs.npy") as temporary:
        shape = (len(found), *result.shape)
        inputs = np.lib.format.open_memmap(temporary, "w+", np.dtype(result.dtype), shape)
        for row, (index, array, label) in enumerate(found):
            inputs[row] = array
            content = content_hash(array)
            # named by content, so that a decision about an example outlives a reordered source
            short = content[:12]
            seen[short] += 1
            name = short if seen[short] == 1 else f"{short}-{seen[short]}"
            values = (name, row, content, label, result.classes[label], index, groups[index])
            result.rows.append(dict(zip(COLUMNS, values, strict=True)))
        inputs.flush()
        del inputs
    contents = "".join(f"{r['hash']}{r['label']}{r['group']}" for r in result.rows)
    result.fingerprint = hashlib.sha256((contents + "/".join(result.classes)).encode()).hexdigest()
    write_csv(out / "examples.csv", result.rows)
    write_csv(out / "problems.csv", result.problems, ["source", "problem", "detail"])
    facts = {"data": config, "classes": result.classes, "shape": list(result.shape), "dtype": result.dtype}
    write_json(out / "store.json", facts | {"examples": len(found), "fingerprint": result.fingerprint})


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
        facts = read_json(Path(folder) / "store.json")
        if facts["data"] != config:
            raise RecipeError(
                f"{folder} holds {facts['data']['_target_']}, the configuration asks for {config['_target_']}, or for "
                "other settings of it. Choose the data in params.yaml and type `dvc repro`, or compare data sets with "
                "`dvc exp run -S data=...`."
            )
        inputs = np.load(present(Path(folder) / "inputs.npy"), mmap_mode="r", allow_pickle=False)
        return cls(inputs, facts["classes"], facts["fingerprint"], Path(folder))

    def examples(self) -> list[dict]:
        rows = read_csv(self.folder / "examples.csv")
        return [r | {k: int(r[k]) for k in ("row", "label", "source")} for r in rows]
