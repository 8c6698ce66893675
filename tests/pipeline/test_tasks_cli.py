"""Quantities, several labels and classes from the file to the network's targets, by the commands that people type."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from clone import Clone, fresh
from PIL import Image

from recipe.data.batches import load, read_test
from recipe.files import read_csv, read_json, read_table

pytestmark = pytest.mark.slow
TO_THE_SPLIT = ("prepare", "embed", "audit", "split")
TABLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "tabular"  # beside the project, if it is there


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    return fresh(tmp_path_factory.mktemp("tasks") / "clone")


def choose(clone: Clone, **data) -> None:
    """These words and no others of an earlier test."""
    params = yaml.safe_load(clone.read("params.yaml")) | {"data": data}
    clone.write("params.yaml", yaml.safe_dump(params, sort_keys=False))


def loaded(clone: Clone):
    """(data, the test split) as stages that train read them."""
    config = yaml.safe_load(clone.read("resolved/split.yaml"))["data"]
    places = {"lists": clone.root / "runs/split", "folder": clone.root / "runs/prepare"}
    data = load(config, "cpu", **places)
    return data, read_test(data, config, "cpu", **places)


def verdicts(clone: Clone, stage: str) -> dict[str, str]:
    return {c["check"]: c["verdict"] for c in clone.report(stage)["checks"]}


@pytest.mark.skipif(not TABLES.is_dir(), reason="no real tables in ../shared/data, beside the project")
def test_the_ages_of_abalones_are_a_quantity(clone):
    choose(clone, name="table", file=str(TABLES / "abalone.csv"), header=False, target=-1)
    text = clone.stages(*TO_THE_SPLIT).text
    assert "examples with `column 8` from 1 to 29, with a mean of 9.934" in clone.report("audit")["findings"][0]
    assert read_json(clone.root / "runs/prepare/store.json")["task"] == {
        "name": "regression", "targets": ["column 8"], "unit": "",
    }  # fmt: skip
    assert "Traceback" not in text
    assert not {"fail", "error"} & {
        c["verdict"] for s in ("audit", "split") for c in clone.report(s)["checks"] if c["gate"]
    }
    data, test = loaded(clone)
    ages = {int(r["row"]): float(r["label"]) for r in read_csv(clone.root / "runs/split/train.csv")}
    assert data.task.mean[0] == pytest.approx(np.mean(list(ages.values())), abs=1e-9)
    assert data.train.y.shape == (2505, 1)
    assert data.train.y.std(unbiased=False).item() == pytest.approx(1, abs=1e-5)
    assert data.task.actual(data.train.y)[:, 0].tolist() == pytest.approx(list(ages.values()), abs=1e-5)
    means = [float(data.task.actual(part.y).mean()) for part in (data.train, data.val, test)]
    assert max(means) - min(means) < 0.1  # stratified by tenths of the ages
    assert data.metric.name == "rmse"


@pytest.mark.skipif(not TABLES.is_dir(), reason="no real tables in ../shared/data, beside the project")
def test_a_rare_class_of_mammographies(clone):
    choose(clone, name="table", file=str(TABLES / "mammography.csv"), header=False, label=-1)
    clone.stages(*TO_THE_SPLIT, code=None)
    assert read_json(clone.root / "runs/prepare/store.json")["task"] == {
        "name": "classification", "classes": ["'-1'", "'1'"],
    }  # fmt: skip
    assert clone.report("audit")["metrics"]["smallest_class"] == 260
    assert not [c for c in clone.report("split")["checks"] if c["gate"] and c["verdict"] == "fail"]


def test_relabelled_quantities_and_their_copies(clone):
    draw = np.random.default_rng(0)
    rows = [(a, b, round(3 * a - b, 3)) for a, b in draw.normal(size=(200, 2)).round(4).tolist()]
    rows += [(*rows[0][:2], rows[0][2] + 1), rows[1]]  # a copy with another target, and one with the same
    clone.write("data/x.csv", "\n".join(["a,b,y", *(",".join(map(str, row)) for row in rows)]))
    choose(clone, name="table", file="data/x.csv", target="y", unit="mm")
    clone.stages("prepare", "embed", "audit")
    examples = read_table(clone.root / "runs/audit/examples.parquet")
    flags = {e["source"]: e["flags"] for e in examples}
    assert "other label" in flags[0]
    assert "other label" in flags[200]
    assert "exact copy" in flags[1]
    assert "other label" not in flags[1]
    by_source = {e["source"]: e["id"] for e in examples}
    lines = [f"{by_source[200]},relabel,{rows[0][2]},misread", f"{by_source[3]},relabel,-1e-3,measured again"]
    clone.write("decisions.csv", "\n".join(["id,action,label,reason", *lines]) + "\n")
    clone.stages("split")
    labels = {
        r["id"]: r["label"] for n in ("train", "val", "test") for r in read_csv(clone.root / f"runs/split/{n}.csv")
    }
    assert (labels[by_source[200]], labels[by_source[3]]) == (labels[by_source[0]], "-0.001")
    clone.write("decisions.csv", f"id,action,label,reason\n{by_source[3]},relabel,tall,r\n")
    said = clone.stages("split", code=1)
    assert "line 2: relabel to `tall`: it must be a number, as in 9.5" in said.text
    assert "Traceback" not in said.text
    clone.git("checkout", "--", "decisions.csv")


def test_images_with_several_labels(clone):
    draw = np.random.default_rng(0)
    lines = ["file_name,bright,wide"]
    for n in range(90):
        bright, wide = n % 2, n // 2 % 2
        pixels = draw.integers(0, 100, (12, 16 if wide else 10), dtype=np.uint8) + 100 * bright
        (clone.root / "data/photos").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(clone.root / f"data/photos/{n}.png")
        lines.append(f"{n}.png,{bright},{wide}")
    clone.write("data/photos/metadata.csv", "\n".join(lines))
    choose(clone, name="folder", root="data/photos", size=8, labels=["bright", "wide"])
    text = clone.stages(*TO_THE_SPLIT).text
    assert "Traceback" not in text
    assert verdicts(clone, "split")["every_class_is_in_every_split"] == "pass"
    data, test = loaded(clone)
    assert data.task.facts() == {"name": "multilabel", "labels": ["bright", "wide"]}
    parts = (data.train, data.val, test)
    assert [abs(len(part) - n) < 3 for part, n in zip(parts, (54, 18, 18), strict=True)] == [True] * 3
    assert (data.train.y.shape[1], data.train.y.unique().tolist()) == (2, [0, 1])
    assert 0.4 < test.y.mean(0).min() <= test.y.mean(0).max() < 0.6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"target": "b", "label": "a"}, "`label: a` (one class of each example) and `target: b` (quantities) both say"),
        (
            {"target": "name"},
            "column `name`: a quantity is to be predicted, and this column holds texts: 'x0' (line 2)",
        ),
        ({"target": "bb"}, "no column `bb`; there are a, b, name. Did you mean `b`?"),
        ({"target": "b", "task": "ranking"}, "`data.task: ranking` must be one of auto, classification, multilabel"),
    ],
)
def test_a_mistake_in_the_words_is_one_message(clone, words, message):
    clone.write("data/x.csv", "\n".join(["a,b,name", *(f"{n},{n % 7}.5,x{n % 3}" for n in range(30))]))
    choose(clone, name="table", file="data/x.csv", **words)
    said = clone.by_hand("prepare", code=1)
    assert message in " ".join(said.text.split())
    assert "Traceback" not in said.text
