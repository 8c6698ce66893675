"""Several labels for each row, one of them rare, from the file to predictions, by the commands that people type."""

import numpy as np
import pytest
import yaml
from clone import Clone, fresh

from recipe.config.compose import STAGES
from recipe.files import read_csv, read_yaml

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("labels by commands")]  # one clone for both
ROWS = 600
LABELS = ("rain", "wind", "hail")


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    """With a whole pipeline."""
    clone = fresh(tmp_path_factory.mktemp("labels") / "clone")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(ROWS, 5))
    scores = np.stack([2 * x[:, 0], x[:, 1] * x[:, 2], 2 * x[:, 3] - 3.5], 1) + 0.6 * draw.normal(size=(ROWS, 3))
    cells = [f"{a:.4f}" for row in x for a in row]
    rows = zip(np.array(cells).reshape(ROWS, 5).tolist(), (scores > 0).astype(int).astype(str).tolist(), strict=True)
    lines = [",".join([*"abcde", *LABELS]), *(",".join(values + given) for values, given in rows)]
    clone.write("data/weather.csv", "\n".join(lines) + "\n")
    params = yaml.safe_load(clone.read("params.yaml"))
    params |= {"data": {"name": "table", "file": "data/weather.csv", "labels": list(LABELS)}, "model": "mlp"}
    params["overfit"] |= {"train": {"epochs": 40}, "enough": 0.2, "ladder": {"values": [8, 32], "growth": 1e10}}
    params["regularize"] |= {
        "rungs": [{"name": "dropout", "change": {"model.dropout": 0.25}, "expected": "val_loss falls"}]
    }
    params["tune"] |= {"samplers": ["random"], "trials": 2, "repeats": 1}
    params["ensemble"] |= {"longer": 0}
    clone.write("params.yaml", yaml.safe_dump(params, sort_keys=False))
    clone.run_all()
    return clone


def test_a_whole_pipeline_of_several_labels_closes_no_gate(clone):
    gates = [c for s in STAGES for c in clone.report(s)["checks"] if c["gate"]]
    assert not [c["check"] for c in gates if c["verdict"] in ("fail", "error")]
    metrics = clone.report("ensemble")["metrics"]
    assert metrics["test_macro_average_precision_low"] > 0.5
    assert {"test_macro_f1", "test_micro_f1", "test_subset_accuracy"} <= set(metrics)
    assert [row["label"] for row in read_csv(clone.root / "runs/ensemble/per_target.csv")] == list(LABELS)
    assert "hail" in (clone.root / "runs/report.html").read_text()


def test_the_saved_system_decides_by_the_thresholds_that_validation_chose(clone):
    thresholds = read_yaml(clone.root / "runs/ensemble/system/system.yaml")["thresholds"] or [0.5] * 3
    assert read_yaml(clone.root / "runs/ensemble/choice.yaml")["thresholds"] in (thresholds, [])
    clone.run("python", "-m", "recipe.cli", "predict", "data/weather.csv", "--out", "predicted.csv")
    rows = read_csv(clone.root / "predicted.csv")
    assert len(rows) == ROWS
    for row in rows:
        least = zip(LABELS, thresholds, strict=True)
        assert row["predicted"] == "; ".join(name for name, t in least if float(row[f"p_{name}"]) >= t)
    assert clone.repro().stages == []
