"""The canonical store: whatever the source was, one array of inputs and one row per example.

inputs.npy        images (N, C, H, W) uint8, or float32 where the source gave anything else; rows of features (N, F)
                  float32; nothing, (N, 0), for texts; opened as a memory map
texts.parquet     row, text; no row unless the source is one of texts
previews.parquet  row, jpeg: pictures that were larger than what enters the net, upright, at most 192 pixels
examples.parquet  a row per example: COLUMNS, then meta_*, what the decoder found in its file, and its annotations
problems.csv      every example that is not in the store and why, what else is wrong with the source, and, at the level
                  of a note, whatever was converted or is odd
store.json        the data config, kind, classes, shape, the fingerprint of all contents, and how a file becomes an
                  input: `files` (of encoded images: fit, limits of decoding), `layout` (what columns of a table become)
                  and `value_range` (the stored values of black and white, where a person gave them)
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from recipe.data.source import IMAGE
from recipe.errors import RecipeError
from recipe.files import present, read_json

COLUMNS = {
    "id": "first 12 digits of the hash; -2, -3 for further copies: what decisions.csv names",
    "row": "row in runs/prepare/inputs.npy",
    "hash": "SHA-256 of type, shape and values as they were read, before any resizing; of a text's UTF-8",
    "label": "class number as the source gives it, before decisions.csv",
    "class": "name of the class",
    "source": "index in the data set",
    "group": "the source's own group (writer, patient, film), empty where it names none",
    "given_split": "the split that the source puts it in, empty where it names none",
    "name": "the file's name below the source's root, or the line of a table; empty where the source has no names",
    "notes": "what reading changed or came across, separated by semicolons",
}


@dataclass(frozen=True)
class Store:
    """What prepare wrote, opened; inputs stay on disk until a row is asked for."""

    inputs: np.ndarray
    classes: list[str]
    fingerprint: str
    folder: Path
    kind: str = IMAGE
    columns: tuple[str, ...] = ()  # of feature rows

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
        return cls(inputs, facts["classes"], facts["fingerprint"], Path(folder), facts["kind"], tuple(facts["columns"]))

    def dates(self) -> list[str]:
        """The columns of a table that became features of a date."""
        layout = read_json(self.folder / "store.json")["layout"] or {"features": []}
        return [feature["column"] for feature in layout["features"] if feature["kind"] == "date"]

    def table(self):
        """examples.parquet as a pyarrow table; each field's metadata says what it means."""
        from pyarrow import parquet

        return parquet.read_table(present(self.folder / "examples.parquet"))

    def examples(self) -> list[dict]:
        """The columns that every source has, a dict per example."""
        return self.table().select(list(COLUMNS)).to_pylist()

    def rows(self, ids: list[str]) -> list[int]:
        """Where examples stand in `inputs`."""
        table = self.table().select(["id", "row"])
        row_of = dict(zip(table["id"].to_pylist(), table["row"].to_pylist(), strict=True))
        return [row_of[i] for i in ids]

    def texts(self) -> list[str]:
        """A text per row; empty for other kinds."""
        from pyarrow import parquet

        return parquet.read_table(present(self.folder / "texts.parquet"))["text"].to_pylist()

    @cached_property
    def _previews(self):
        """(rows in ascending order, their JPEGs as a pyarrow column)"""
        from pyarrow import parquet

        table = parquet.read_table(present(self.folder / "previews.parquet"), memory_map=True)
        return table["row"].to_numpy(), table["jpeg"]

    def picture(self, row: int) -> np.ndarray:
        """(H, W, 3) uint8: the preview where there is one, else the input, floats from 0..1 as bytes."""
        import io

        from PIL import Image

        if self.kind != IMAGE:
            raise RecipeError(f"{self.folder} holds {self.kind}: there are no pictures.")
        rows, jpegs = self._previews
        at = int(np.searchsorted(rows, row))
        if at < len(rows) and rows[at] == row:
            return np.asarray(Image.open(io.BytesIO(jpegs[at].as_py())).convert("RGB"))
        image = np.asarray(self.inputs[row])
        if image.dtype != np.uint8:
            image = np.rint(np.nan_to_num(image).clip(0, 1) * 255).astype(np.uint8)
        return (image[:3] if len(image) >= 3 else image[:1].repeat(3, 0)).transpose(1, 2, 0)
