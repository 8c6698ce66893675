"""Texts from a file to a prediction, by the commands that people type: made sentences, with few telling words."""

import mlflow
import numpy as np
import pandas
import pytest
from clone import Clone, fresh

from recipe.config.compose import STAGES
from recipe.files import read_csv, read_yaml

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("texts by commands")]  # one clone for all
ROWS = 360
SAID = {"good": ("fine", "lovely", "warm"), "bad": ("dull", "poor", "cold")}
BETWEEN = [f"{a}{b}" for a in ("mo", "ta", "ri", "lu", "ke", "so") for b in ("ve", "na", "lm", "rt", "sti")]


def sentences() -> list[tuple[str, str]]:
    """(text, label): 4 to 14 common words, and in nine of ten texts one to three that say the label."""
    draw = np.random.default_rng(0)
    made = []
    for i in range(ROWS):
        label = ("good", "bad")[i % 2]
        telling = draw.choice(SAID[label], draw.integers(1, 4) if draw.random() < 0.9 else 0)
        words = [*draw.choice(BETWEEN, draw.integers(4, 15)), *telling]
        text = " ".join(draw.permutation(words)).capitalize() + ".!"[draw.integers(2)]
        made.append((text, label))
    return made


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    """With the whole pipeline of texts."""
    clone = fresh(tmp_path_factory.mktemp("texts") / "clone")
    (clone.root / "data").mkdir(exist_ok=True)
    frame = pandas.DataFrame(sentences(), columns=["review", "label"])
    frame.to_csv(clone.root / "data/reviews.csv", index=False)
    clone.choose(
        data={"name": "text", "file": "data/reviews.csv", "text": "review"},
        model={"name": "bag", "width": 8},
        overfit={"train": {"epochs": 24}},
        regularize={
            "rungs": [
                {
                    "name": "word dropout",
                    "change": {
                        "train.augment": True,
                        "augment": {"_target_": "recipe.train.word_dropout.WordDropout", "share": 0.2},
                    },
                    "expected": "val_loss falls",
                }
            ]
        },
        tune={"samplers": ["random"], "trials": 2, "repeats": 1},
        ensemble={"longer": 0},
    )
    clone.stages(*STAGES)
    return clone


def test_a_whole_pipeline_of_texts_closes_no_gate(clone):
    for stage in ("prepare", "audit", "split", "baseline", "overfit", "regularize", "tune", "ensemble", "report"):
        gates = [c for c in clone.report(stage)["checks"] if c["gate"]]
        assert not [c["check"] for c in gates if c["verdict"] in ("fail", "error") or c.get("waived")]
    for check in ("padding_reaches_no_output", "vocabulary_is_of_train", "val_is_prepared_like_train"):
        assert clone.verdict("baseline", check)["verdict"] == "pass"
    systems = {row["system"] for row in clone.report("baseline")["scores"]}
    assert {"constant", "TF-IDF of words", "TF-IDF of words and characters", "words", "bag"} <= systems
    (tried,) = clone.report("regularize")["predictions"]
    assert "word dropout" in tried["change"]
    assert clone.report("ensemble")["metrics"]["test_accuracy"] > 0.75
    page = (clone.root / "runs/report.html").read_text()
    assert "TF-IDF of words" in page


def test_a_text_has_one_prediction_in_a_file_in_a_table_and_from_mlflow(clone):
    texts = [text for text, _ in sentences()[:3]]
    (clone.root / "new").mkdir()
    for i, text in enumerate(texts):
        clone.write(f"new/{i}.txt", text)
    pandas.DataFrame({"review": texts}).to_csv(clone.root / "new.csv", index=False)
    commands = [("new/0.txt", "one"), ("new", "folder"), ("new.csv", "table")]
    for path, name in commands:
        clone.run("python", "-m", "recipe.cli", "predict", path, "--out", f"{name}.csv")
    one, folder, table = (
        [float(row["p_good"]) for row in read_csv(clone.root / f"{name}.csv")] for _, name in commands
    )
    assert folder == table
    assert one == folder[:1]
    run = clone.last_run("ensemble")
    (logged,) = clone.mlflow().search_logged_models([run.info.experiment_id])
    served = mlflow.pyfunc.load_model(f"models:/{logged.model_id}")
    assert served.predict(pandas.DataFrame({"review": texts}))["p_good"].tolist() == pytest.approx(table)


def test_the_system_holds_the_words_of_train_alone(clone):
    words = set(read_yaml(clone.root / "runs/ensemble/system/system.yaml")["tokenizer"]["words"])
    train = {row["id"] for row in read_csv(clone.root / "runs/split/train.csv")}
    assert {"fine", "dull"} < words
    assert len(words) < 60
    assert len(train) < ROWS
