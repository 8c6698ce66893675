"""Little data with folds, by the commands that people type: scikit-learn's diabetes, of which few rows are taken."""

import pytest
import yaml
from clone import Clone, fresh
from sklearn.datasets import load_diabetes

from recipe.config.compose import STAGES
from recipe.files import read_csv, read_yaml

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("folds by commands")]  # one clone for all
FOLDS, ROWS = 3, 160
LISTS = ("train", "val", "test", "classes", "folds")
NOTHING_LEARNED = "a few rows, and a few steps"


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    """With a split as it is without folds, and then the whole pipeline with folds."""
    clone = fresh(tmp_path_factory.mktemp("folds") / "clone")
    frame = load_diabetes(as_frame=True, scaled=False).frame.iloc[:ROWS]
    (clone.root / "data").mkdir(exist_ok=True)
    frame.to_csv(clone.root / "data/diabetes.csv", index=False)
    params = yaml.safe_load(clone.read("params.yaml"))
    params |= {"data": {"name": "table", "file": "data/diabetes.csv", "target": "target"}, "model": "mlp"}
    params["overfit"] |= {
        "waive": dict.fromkeys(("training_set_is_learned", "training_loss_is_below_the_baselines"), NOTHING_LEARNED),
        "train": {"epochs": 75},
        "ladder": {"values": [4, 16], "growth": 0},
    }
    params["regularize"] |= {
        "rungs": [{"name": "dropout", "change": {"model.dropout": 0.25}, "expected": "val_loss falls"}]
    }
    params["tune"] |= {"samplers": ["random"], "trials": 2, "repeats": 1}
    params["ensemble"] |= {"longer": 0}
    clone.write("params.yaml", yaml.safe_dump(params, sort_keys=False))
    clone.stages(*STAGES[: STAGES.index("split") + 1])
    clone.without = {name: clone.read(f"runs/split/{name}.csv") for name in LISTS}
    clone.note = clone.verdict("split", "validation_can_decide")
    clone.choose(split={"folds": FOLDS})
    clone.text = clone.stages(*STAGES[STAGES.index("split") :]).text
    clone.dvc("commit", "--force")
    return clone


def test_a_whole_pipeline_over_folds(clone):
    assert (clone.note["verdict"], clone.note["gate"]) == ("fail", False)
    assert "set `split: {folds: 5}` in params.yaml" in clone.note["finding"]
    assert clone.without["folds"] == b"id,fold\n"
    assert "Traceback" not in clone.text
    assert clone.read("runs/split/test.csv") == clone.without["test"]
    folds = {row["id"]: row["fold"] for row in read_csv(clone.root / "runs/split/folds.csv")}
    validated = {row["id"] for row in read_csv(clone.root / "runs/split/val.csv")}
    assert {name for name, fold in folds.items() if fold == "0"} == validated
    assert abs(len(validated) - 0.8 * ROWS / FOLDS) < 3
    for check in ("folds_cover_train_and_val", "no_group_across_folds"):
        assert clone.verdict("split", check)["verdict"] == "pass"

    sample = f"{FOLDS} trainings in {FOLDS} folds"
    (tried,) = clone.report("regularize")["predictions"]
    assert f"{sample})" in tried["measured"]
    assert f"{sample}, new seeds)" in clone.report("tune")["predictions"][0]["measured"]
    best = read_yaml(clone.root / "runs/ensemble/choice.yaml")["members"][0]
    assert len(best["weights"]) == FOLDS

    gates = [c for s in ("regularize", "tune", "ensemble", "report") for c in clone.report(s)["checks"] if c["gate"]]
    assert not [c["check"] for c in gates if c["verdict"] in ("fail", "error")]
    assert "A member is 3 networks" in (clone.root / "runs/report.html").read_text()


def test_the_saved_system_predicts_rows_of_a_file(clone):
    said = clone.run("python", "-m", "recipe.cli", "predict", "data/diabetes.csv", "--out", "predicted.csv").text
    assert "Traceback" not in said
    assert len(read_csv(clone.root / "predicted.csv")) == ROWS


def test_with_folds_everything_is_up_to_date_and_without_them_the_split_is_as_before(clone, tmp_path):
    assert clone.repro().stages == []
    again = clone.copy(tmp_path / "clone")
    again.choose(split={"folds": None})
    again.repro("split")
    assert {name: again.read(f"runs/split/{name}.csv") for name in LISTS} == clone.without


def test_folds_that_cannot_be_are_one_clear_message(clone):
    clone.choose(split={"folds": 1})
    said = clone.repro("split", code=None).text
    clone.choose(split={"folds": FOLDS})
    assert "Traceback" not in said
    assert "folds" in said
    assert "at least 2" in said
