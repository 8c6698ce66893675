"""A person's own parts: a file in src/own/, one in conf/<group>/, a word in params.yaml; nothing of ours is touched."""

import re

import pytest
import yaml
from clone import ROOT, UP_TO_DATE

pytestmark = pytest.mark.slow


def readme() -> dict[str, str]:
    """{file: text} of the README's example: fenced blocks whose first line names their file."""
    blocks = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    section = {file: text for file, text in blocks if file.startswith(("src/own/", "conf/"))}
    words = [yaml.safe_load(text) for file, text in blocks if file == "params.yaml"]
    return section | {"params.yaml": next(w for w in words if "data" in w)}


def test_the_readmes_own_data_and_model_run_as_they_stand_there(clone):
    example = readme()
    words = example.pop("params.yaml")
    assert words == {"data": "stripes", "model": "pooled"}
    for file, text in example.items():
        clone.write(file, text)
    clone.choose(**words)
    said = clone.repro("baseline")

    assert said.stages == ["compose", "prepare", "audit", "split", "baseline"]
    changed = {line[3:] for line in clone.git("status", "--porcelain", "--", "src", "conf", "pipeline").splitlines()}
    assert changed == set(example)
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
