"""Small projects like those of users, prepared, split and with a saved system, whose members have random weights."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from PIL import Image
from zoo import exif

from recipe.config.changes import change
from recipe.data.batches import Data, Split, load, read_test
from recipe.data.store import Store
from recipe.experiment import build
from recipe.files import write_csv
from recipe.metrics.calibration import tempered
from recipe.metrics.scores import weighted
from recipe.serve import system
from recipe.sources.arrays import Arrays
from recipe.sources.folder import Folder
from recipe.sources.tables import Table
from recipe.stages.prepare.write_store import prepare

CONFIG = {"_target_": "somewhere.Set"}
CFG = OmegaConf.create(
    {
        "model": {"_target_": "recipe.models.plain.mlp", "width": 8, "depth": 1, "dropout": 0.0},
        "train": {"input_size": None, "quantiles": False},
    }
)
MEMBERS = [({}, 1), ({"model.width": 5, "model.depth": 2}, 2)]  # changes, how often it counts
TEMPERATURE = 1.7


@dataclass
class Project:
    root: Path
    data: Data
    unseen: Split  # the test examples
    store: Store

    @property
    def system(self) -> Path:
        return self.root / "runs/ensemble/system"

    @property
    def test(self) -> dict[str, list[float]]:
        """{name of a test example: probabilities}, as the ensemble stage has them: of what it holds in memory."""
        nets = [random_model(self.data, changes, seed) for seed, (changes, _) in enumerate(MEMBERS)]
        p = torch.stack([net(self.unseen.x).double().softmax(1).detach() for net in nets])
        p = tempered(weighted(p, [count for _, count in MEMBERS]), TEMPERATURE)
        names = {example["id"]: example["name"] for example in self.store.examples()}
        return dict(zip((names[i] for i in self.unseen.ids), p.tolist(), strict=True))


def random_model(data: Data, changes: dict, seed: int):
    return build.model(change(CFG, changes), data, seed).eval()


def project(root: Path, source, **facts) -> Project:
    """Prepared; a fifth of the examples is test, a fifth val; saved with MEMBERS."""
    runs = root / "runs"
    prepare(source, CONFIG, runs / "prepare", **facts)
    store = Store.open(CONFIG, runs / "prepare")
    examples = store.examples()
    order = np.random.default_rng(0).permutation(len(examples)).tolist()
    fifth = len(order) // 5
    lists = {"test": order[:fifth], "val": order[fifth : 2 * fifth], "train": order[2 * fifth :]}
    for name, rows in lists.items():
        listed = [{"id": examples[r]["id"], "row": r, "label": examples[r]["label"]} for r in rows]
        write_csv(runs / "split" / f"{name}.csv", listed)
    write_csv(runs / "split" / "classes.csv", [{"label": n, "class": name} for n, name in enumerate(store.task.names)])
    places = {"lists": runs / "split", "folder": runs / "prepare"}
    data = load(CONFIG, "cpu", **places)
    made = Project(root, data, read_test(data, CONFIG, "cpu", **places), store)
    save(made)
    return made


def save(made: Project, calibration=(TEMPERATURE,), folder: Path | None = None, cfg=CFG) -> None:
    members = [
        (changes, random_model(made.data, changes, seed).state_dict(), count)
        for seed, (changes, count) in enumerate(MEMBERS)
    ]
    to = folder or made.system
    system.save(to, cfg, made.data, members, calibration, prepared=made.root / "runs/prepare")


# ---- users' data -------------------------------------------------------------------------------------------------


def folder(root: Path) -> Project:
    """Photographs of three classes: JPEG turned by EXIF, PNG with a palette, alpha, 1 bit; any size."""
    rng = np.random.default_rng(0)
    photos = root / "photos"
    for k in range(45):
        height, width = rng.integers(20, 60, 2)
        colours = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        image, at = Image.fromarray(colours), photos / ("cat", "dog", "ice cream")[k % 3]
        at.mkdir(parents=True, exist_ok=True)
        if k % 5 == 0:
            image.save(at / f"{k}.jpg", exif=exif(6))
        else:
            form = ("RGB", "P", "RGBA", "L")[k % 4]
            image.convert(form).save(at / f"{k}.png")
    return project(root, Folder(str(photos), size=(12, 16), channels=3))


def table(root: Path) -> Project:
    """Numbers and names, with gaps; an identifier aside."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "who": f"p{k}",
            "age": "" if k % 7 == 0 else f"{rng.normal(40, 9):.2f}",
            "colour": "NA" if k % 11 == 0 else ("red", "blue, dark", "green")[int(rng.integers(3))],
            "weight": f"{rng.normal(70, 5):.3f}",
            "label": ("ill", "well")[k % 2],
        }
        for k in range(60)
    ]
    with open(root / "people.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return project(root, Table(str(root / "people.csv"), "label", metadata=["who"]))


def digits(root: Path) -> Project:
    rng = np.random.default_rng(0)
    np.savez(root / "digits.npz", x=rng.integers(0, 256, (50, 8, 8), dtype=np.uint8), y=np.arange(50) % 3)
    return project(root, Arrays(str(root / "digits.npz")))


def xrays(root: Path) -> Project:
    """Grey of 12 bits in files of 16, on a user-defined range."""
    rng = np.random.default_rng(0)
    for k in range(45):
        at = root / "xrays" / ("ill", "well")[k % 2]
        at.mkdir(parents=True, exist_ok=True)
        values = rng.normal(1500 + 300 * (k % 2), 250, rng.integers(20, 60, 2)).clip(0, 4095)
        Image.fromarray(values.astype(np.uint16)).save(at / f"{k}.png")
    return project(root, Folder(str(root / "xrays"), size=(12, 16), channels=1, value_range=[0, 4095]))


KINDS = {
    "folder": (folder, "photos"),
    "table": (table, "people.csv"),
    "digits": (digits, "digits.npz"),
    "xrays": (xrays, "xrays"),
}
