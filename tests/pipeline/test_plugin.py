"""User-defined parts: a file in src/own/, one in conf/<group>/, a word in params.yaml; src/recipe stays as it is."""

import pytest
import yaml
from clone import ROOT, UP_TO_DATE

pytestmark = pytest.mark.slow


def example() -> dict[str, str]:
    """{file: text} of examples/own_parts, whose files docs/own-parts.md shows (tests/test_docs.py compares them)."""
    folder = ROOT / "examples/own_parts"
    files = [f for f in folder.rglob("*") if f.suffix in (".py", ".yaml")]
    return {str(f.relative_to(folder)): f.read_text() for f in files}


def test_the_documented_data_set_and_model_run_unchanged(clone):
    files = example()
    words = yaml.safe_load(files.pop("params.yaml"))
    assert words == {"data": "stripes", "model": "pooled"}
    for file, text in files.items():
        clone.write(file, text)
    clone.choose(**words)
    said = clone.repro("baseline")

    assert said.stages == ["compose", "prepare", "embed", "audit", "split", "baseline"]
    changed = {line[3:] for line in clone.git("status", "--porcelain", "--", "src", "conf", "pipeline").splitlines()}
    assert changed == set(files)
    scores = {row["system"]: row["val_accuracy"] for row in clone.report("baseline")["scores"]}
    assert list(scores) == ["constant", "linear", "convnet", "pooled"]
    assert scores["pooled"] > max(scores["constant"], scores["linear"]) + 0.1
    assert clone.last_run("baseline").data.params["model"] == "pooled"
    assert clone.repro("baseline").stages == []


def test_an_edit_of_an_own_part_reruns_the_stages_whose_config_names_it(clone):
    """Also an edit of a module that it imports; a part that nobody chose reruns nothing."""
    clone.write("src/own/parts.py", "from torch.nn import CrossEntropyLoss as Loss\n")
    clone.write("src/own/mine.py", "from .parts import Loss\n")
    clone.write("conf/loss/mine.yaml", "_target_: own.mine.Loss\n")
    clone.repro("compose")
    assert clone.dvc("status").text.strip() == UP_TO_DATE

    clone.choose(overfit={"loss": "mine"})
    clone.repro("overfit")
    clone.write("src/own/parts.py", "from torch.nn import CrossEntropyLoss as Loss  # edited\n")
    clone.write("src/own/other.py", "")
    assert clone.repro("overfit").stages == ["compose", "overfit"]


def test_a_metric_of_a_users_own_leads_the_scores(clone):
    """A plain function, as in scikit-learn; one that fails ends the stage with one message."""
    clone.write(
        "src/own/scores.py",
        "def missed(targets, predictions):\n    return float((predictions.argmax(1) != targets).mean())\n",
    )
    clone.choose(metric={"_target_": "own.scores.missed", "name": "missed", "higher_is_better": False, "percent": True})
    clone.repro("baseline")
    report = clone.report("baseline")
    assert report["metric"] == [
        {"name": "missed", "title": "missed", "higher_is_better": False, "percent": True, "unit": ""}
    ]
    assert all(0 < row["val_missed"] < 1 for row in report["scores"])

    clone.write("src/own/scores.py", "def missed(targets, predictions):\n    return targets.median()\n")
    assert "metric `missed` failed on targets" in clone.repro("baseline", code=None).text
    clone.choose(metric="rmse")
    assert "`metric: rmse` is not a metric of the task classification" in clone.repro("baseline", code=None).text
