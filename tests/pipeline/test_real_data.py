"""Real photographs, messages, measurements and boxes."""

import io
import json
import lzma
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from made_data import data
from PIL import Image
from pyarrow import parquet
from sources import put, stored

from recipe.problems import TASK
from recipe.serve.input_drift import drift, training_range
from recipe.sources import coco
from recipe.sources.folder import Folder
from recipe.sources.tables import Table, Text
from recipe.stages.split.divide import Plan, divide

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"  # beside the project, where it is there at all
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="no real data in ../shared/data, beside the project")


@pytest.mark.slow
def test_photographs_of_ants_and_bees(tmp_path):
    found, store = stored(Folder(SHARED / "natural_ants_bees", size=64), tmp_path)
    rows = store.table().to_pylist()
    assert found.problems == []
    assert Counter((r["given_split"], r["class"]) for r in rows).keys() == {
        (s, c) for s in ("train", "val") for c in ("ants", "bees")
    }
    assert len(rows) == 106
    gif = next(r for r in rows if r["name"] == "train/ants/imageNotFound.gif")  # which ImageFolder passes over
    assert (gif["format"], gif["notes"]) == ("GIF", "palette to RGB")
    assert len({(r["width"], r["height"]) for r in rows}) == 57
    assert all(max(store.picture(r["row"]).shape) == 192 for r in rows if max(r["width"], r["height"]) > 192)


@pytest.mark.slow
def test_no_photograph_that_is_given_as_val_is_elsewhere(tmp_path):
    _, store = stored(Folder(SHARED / "natural_ants_bees", size=8), tmp_path)
    made = divide([e | {"dup_group": e["id"]} for e in store.examples()], store.task, Plan(0.2, 0.2))
    given = {name: Counter(e["name"].split("/")[0] for e in rows) for name, rows in made.parts.items()}
    assert given == {"train": {"train": 57}, "val": {"val": 34}, "test": {"train": 15}}


def test_short_messages(tmp_path):
    source = Text(SHARED / "text/sms_spam.tsv", text=1, label=0, header=False, quoted=False)
    found, store = stored(source, tmp_path)
    assert found.problems == []
    assert Counter(e["class"] for e in store.examples()) == {"ham": 4827, "spam": 747}
    hashes = [e["hash"] for e in store.examples()]
    assert len(hashes) - len(set(hashes)) == 403


@pytest.mark.slow
def test_wines(tmp_path):
    found, store = stored(Table(SHARED / "tabular/winequality-white.csv", label=-1, header=False), tmp_path)
    assert found.problems == []
    assert store.inputs.shape == (4898, 11)
    assert list(store.task.classes) == list("3456789")
    density = Table(SHARED / "tabular/winequality-white.csv", label=7, header=False)
    assert (density.target_columns, [p.kind for p in density.problems]) == (["column 7"], [TASK])


def fashion() -> np.ndarray:
    return np.load(io.BytesIO(lzma.open(SHARED / "fashion_mnist/test_images.npy.xz").read())).reshape(-1, 1, 28, 28)


def cifar10() -> np.ndarray:
    files = parquet.read_table(SHARED / "cifar10/test_jpeg.parquet")["image"].to_pylist()[:4000]
    return np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]).transpose(0, 3, 1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("images", [fashion, cifar10])
def test_which_images_are_unlike_the_training_images(images):
    """The figures of recipe.serve.input_drift: hardly any of the same kind, every one on another scale."""
    raw = torch.tensor(images()).float() / 255
    known, new = training_range(data(raw[::2])), raw[1::2]
    assert sum(map(bool, drift(known, new, ()))) <= 1e-3 * len(new)
    for scale in (1 / 255, 1 / 16, 255.0):
        assert all(drift(known, scale * new, ())), scale


def test_boxes_of_coco(tmp_path):
    file = SHARED / "detection/coco_tiny_val.json"
    content, read = json.loads(file.read_text()), coco.read_annotations(file)
    assert read.problems == []
    assert sum(read.columns["ann_count"]) == len(content["annotations"]) == 815
    image = content["images"][0]
    mine = [a["bbox"] for a in content["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]]
    largest = max(w * h for _, _, w, h in mine) ** 0.5
    assert read.columns["ann_size_max"][0] == pytest.approx(largest, rel=0.01)
    put(tmp_path, *(f"all/{name}" for name in read.files))
    (tmp_path / "coco.json").write_bytes(file.read_bytes())
    assert Folder(tmp_path, size=8, annotations="coco.json").problems == []
