"""The store: one array of inputs and one row per example, whatever the source was.

inputs.npy        images (N, C, H, W) uint8, or float32 where the source gave anything else; rows of features (N, F)
                  float32; nothing, (N, 0), for texts; opened as a memory map
texts.parquet     row, text; no row unless the source is one of texts
previews.parquet  row, jpeg: pictures that were larger than what enters the net, upright, at most 192 pixels
examples.parquet  a row per example: COLUMNS, then meta_*, the metadata of its file, and its annotations
problems.csv      every example that is not in the store and why, other problems of the source, and, at the level of a
                  note, everything that was converted or is odd
store.json        the data config, kind, task, shape, the fingerprint of all contents, and how a file becomes an
                  input: `files` (of encoded images: fit, limits of decoding), `layout` (what columns of a table become,
                  which one holds texts), `window` (height and width of the part of an image that enters the net, where
                  it is not all of it) and `value_range` (the stored values of black and white, where the user gave
                  them)
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recipe.errors import RecipeError
from recipe.files import present, read_json
from recipe.inputs.inputs import Inputs
from recipe.inputs.read import IMAGES, KINDS
from recipe.tasks.read import task_of
from recipe.tasks.task import Task

COLUMNS = {
    "id": "first 12 digits of the hash; -2, -3 for further copies: what decisions.csv names",
    "row": "row in runs/prepare/inputs.npy",
    "hash": "SHA-256 of type, shape and values as they were read, before any resizing; of a text's UTF-8",
    "label": "what the source gives to be predicted, before decisions.csv, as recipe.tasks.labels stores it",
    "class": "the same as a person reads it",
    "source": "index in the data set",
    "group": "group from the source (writer, patient, film), empty where it names none",
    "given_split": "split from the source, empty where it names none",
    "name": "the file's name below the source's root, or the line of a table; empty where the source has no names",
    "notes": "what reading changed or found odd, separated by semicolons",
}


@dataclass(frozen=True)
class Store:
    """The opened output of `prepare`; inputs stay on disk until a row is read."""

    inputs: np.ndarray
    task: Task
    fingerprint: str
    folder: Path
    kind: Inputs = IMAGES
    columns: tuple[str, ...] = ()  # of feature rows
    window: tuple[int, int] | None = None  # of images: height and width of the part that enters the net; None: all

    @classmethod
    def open(cls, config: dict[str, Any], folder: Path = Path("runs/prepare")) -> "Store":
        """Raises RecipeError where the store does not hold the data set of `config`."""
        header = read_json(Path(folder) / "store.json")
        if header["data"] != config:
            raise RecipeError(
                f"{folder} holds {header['data']['_target_']}, the configuration names {config['_target_']}, or other "
                "settings of it. Choose the data in params.yaml and type `dvc repro`, or compare data sets with "
                "`dvc exp run -S data=...`."
            )
        inputs = np.load(present(Path(folder) / "inputs.npy"), mmap_mode="r", allow_pickle=False)
        return cls(
            inputs,
            task=task_of(header["task"]),
            fingerprint=header["fingerprint"],
            folder=Path(folder),
            kind=KINDS[header["kind"]],
            columns=tuple(header["columns"]),
            window=tuple(header["window"]) if header["window"] else None,
        )

    def dates(self) -> list[str]:
        """The columns of a table that became features of a date."""
        layout = read_json(self.folder / "store.json")["layout"] or {}
        return [feature["column"] for feature in layout.get("features", ()) if feature["kind"] == "date"]

    def table(self) -> Any:
        """examples.parquet as a pyarrow table; the metadata of each field holds its meaning."""
        from pyarrow import parquet

        return parquet.read_table(present(self.folder / "examples.parquet"))

    def examples(self) -> list[dict[str, Any]]:
        """The columns that every source has, a dict per example."""
        examples: list[dict[str, Any]] = self.table().select(list(COLUMNS)).to_pylist()
        return examples

    def rows(self, ids: list[str]) -> list[int]:
        """The rows of `inputs` that hold these examples."""
        table = self.table().select(["id", "row"])
        row_of = dict(zip(table["id"].to_pylist(), table["row"].to_pylist(), strict=True))
        return [row_of[i] for i in ids]

    def texts(self) -> list[str]:
        """A text per row; empty for other kinds."""
        from pyarrow import parquet

        texts: list[str] = parquet.read_table(present(self.folder / "texts.parquet"))["text"].to_pylist()
        return texts

    @cached_property
    def _previews(self) -> tuple[np.ndarray, Any]:
        """(rows in ascending order, their JPEGs as a pyarrow column)"""
        from pyarrow import parquet

        table = parquet.read_table(present(self.folder / "previews.parquet"), memory_map=True)
        return table["row"].to_numpy(), table["jpeg"]

    def picture(self, row: int) -> np.ndarray:
        """(H, W, 3) uint8: the preview where there is one, else the input, with floats in 0..1 as bytes."""
        import io

        from PIL import Image

        if not self.kind.has_pixels:
            raise RecipeError(f"{self.folder} holds {self.kind.plural}, not images: there are no pictures.")
        rows, jpegs = self._previews
        at = int(np.searchsorted(rows, row))
        if at < len(rows) and rows[at] == row:
            return np.asarray(Image.open(io.BytesIO(jpegs[at].as_py())).convert("RGB"))
        image = np.asarray(self.inputs[row])
        if image.dtype != np.uint8:
            image = np.rint(np.nan_to_num(image).clip(0, 1) * 255).astype(np.uint8)
        return (image[:3] if len(image) >= 3 else image[:1].repeat(3, 0)).transpose(1, 2, 0)
