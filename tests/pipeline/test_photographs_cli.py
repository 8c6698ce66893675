"""Photographs of many sizes, stored larger than what enters the network, by the commands that people type."""

import numpy as np
import pytest
import yaml
from clone import Clone, fresh
from PIL import Image

from recipe.config.compose import STAGES
from recipe.files import read_csv, read_json, read_yaml

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("photographs by commands")]  # one clone for all
CLASSES = ("lying", "standing")


def photograph(seed: int, standing: bool) -> Image.Image:
    """Broad stripes of a random colour in noise, lying or standing; each of another size."""
    draw = np.random.default_rng(seed)
    height, width = draw.integers(24, 60, 2)
    wave = np.sin(2 * np.pi * (2.5 * np.linspace(0, 1, height) + draw.random()))[:, None].repeat(width, 1)
    if standing:
        wave = np.sin(2 * np.pi * (2.5 * np.linspace(0, 1, width) + draw.random()))[None].repeat(height, 0)
    pixels = 120 + 60 * wave[..., None] * draw.uniform(0.5, 1, 3) + draw.normal(0, 40, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    """With a whole pipeline."""
    clone = fresh(tmp_path_factory.mktemp("photographs") / "clone")
    for n in range(240):
        at = clone.root / "data/photos" / CLASSES[n % 2]
        at.mkdir(parents=True, exist_ok=True)
        photograph(n, bool(n % 2)).save(at / f"{n}.{('png', 'jpg')[n // 2 % 2]}")
    params = yaml.safe_load(clone.read("params.yaml"))
    params["data"] = {"name": "folder", "root": "data/photos", "size": [10, 12], "store_size": [12, 14]}
    params["overfit"] |= {"train": {"epochs": 30}, "ladder": {"values": [4, 16]}}
    augmentation = {"name": "augmentation", "change": {"train.augment": True}, "expected": "val_loss falls"}
    params["regularize"] |= {"rungs": [augmentation]}
    params["tune"] |= {"samplers": ["random"], "trials": 2, "repeats": 1}
    params["ensemble"] |= {"longer": 0}
    clone.write("params.yaml", yaml.safe_dump(params, sort_keys=False))
    clone.run_all()
    return clone


def test_a_whole_pipeline_closes_no_gate(clone):
    gates = [c for s in STAGES for c in clone.report(s)["checks"] if c["gate"]]
    assert not [c["check"] for c in gates if c["verdict"] in ("fail", "error")]
    assert clone.report("ensemble")["metrics"]["test_accuracy_low"] > 0.6
    store = read_json(clone.root / "runs/prepare/store.json")
    assert (store["shape"], store["window"]) == ([3, 12, 14], [10, 12])
    with Image.open(clone.root / "runs/regularize/inputs.png") as picture:
        assert picture.width > 100
    assert clone.repro().stages == []


def test_the_saved_system_takes_photographs_of_another_size(clone):
    new = clone.root / "new"
    new.mkdir()
    for n in range(20):
        photograph(1000 + n, bool(n % 2)).resize((200 - 5 * n, 90 + 5 * n)).save(new / f"{CLASSES[n % 2]}{n}.png")
    clone.run("python", "-m", "recipe.cli", "predict", "new", "--out", "predicted.csv")
    rows = read_csv(clone.root / "predicted.csv")
    assert len(rows) == 20
    assert np.mean([row["name"].startswith(row["predicted"]) for row in rows]) > 0.7
    assert read_yaml(clone.root / "runs/ensemble/system/system.yaml")["inputs"]["window"] == [10, 12]
