"""A runs/ with report.json and pictures of every stage, and its report as text."""

import functools
import html
import re
import tempfile
from pathlib import Path

from recipe.files import write_json
from recipe.plots.style import drawing
from recipe.stages.report.render import render_report


def check(name, value=0.0, bound="= 0", verdict="pass", gate=True, **more):
    return {
        "check": name,
        "claim": f"The claim of {name} holds for every healthy set-up.",
        "source": "Recipe 2, the section it comes from",
        "gate": gate,
        "verdict": verdict,
        "value": value,
        "bound": bound,
        "hint": f"Where to look when {name} fails: the data, then the loss, then the optimizer.",
        "evidence": [],
    } | more


def score(system, train, val, seeds=3, **more):
    """(accuracy, loss) on train and on validation."""
    sides = {"train_accuracy": train[0], "train_loss": train[1], "val_accuracy": val[0], "val_loss": val[1]}
    return {"system": system, "seeds": seeds, **sides, **more}


def prediction(change, expected, measured, outcome):
    return {"change": change, "expected": expected, "measured": measured, "outcome": outcome}


METRIC = {"name": "accuracy", "title": "accuracy", "higher_is_better": True, "percent": True, "unit": ""}
FAKE = {
    "prepare": {
        "summary": "1,797 examples of 10 classes, 8 x 8 grey pixels.",
        "metrics": {"examples": 1797, "classes": 10},
        "checks": [check("every_input_reads"), check("every_label_is_known")],
    },
    "embed": {
        "summary": "The model has no pretrained network: no features were computed.",
        "metrics": {"features": 0},
        "checks": [check("every_feature_is_finite", None, "the model has no pretrained network", verdict="skip")],
    },
    "audit": {
        "summary": "No duplicate contradicts another; 14 outliers are worth a look.",
        "metrics": {"near_duplicates": 6, "outliers": 14, "smallest_class": 174},
        "checks": [
            check("labels_agree", 0, "= 0"),
            check("classes_are_balanced", 1.052, "< 3", gate=False),
            check("no_near_duplicates", 6, "= 0", verdict="fail", gate=False, evidence=["near.png"]),
        ],
        "figures": {"contact.png": "The first 40 of each class.", "near.png": "Six pairs closer than 0.9."},
    },
    "split": {
        "summary": "1,077 train, 360 validation and 360 test examples.",
        "metrics": {"train": 1077, "val": 360, "test": 360},
        "checks": [check("no_group_in_two_splits"), check("class_shares_agree", 0.0061, "< 0.02")],
    },
    "baseline": {
        "summary": "The small conv net reaches 95.83 % on validation, the constant 10.28 %.",
        "metrics": {"val_accuracy": 0.9583, "val_loss": 0.1432, "loss_at_init": 2.3031},
        "checks": [
            check("loss_at_init", 2.3031, "2.303 ± 0.05", evidence=["curves.png"]),
            check("overfit_one_batch", 0.0041, "< 0.02", evidence=["batch.png", "batch.csv"]),
            check("blind_model_is_worse", 2.2991, "> 0.2864"),
            check("human_baseline", None, "not measured", verdict="skip", gate=False),
        ],
        "predictions": [
            prediction("constant -> linear", "val_loss falls", "2.303 -> 0.2211", "confirmed"),
            prediction("linear -> convnet", "val_loss falls", "0.2211 -> 0.1432", "confirmed"),
        ],
        "scores": [
            score("constant", (0.1021, 2.3025), (0.1028, 2.3026), 1),
            score("linear", (0.9721, 0.1409), (0.9417, 0.2211), val_accuracy_sd=0.0042),
            score("convnet", (0.9879, 0.0518), (0.9583, 0.1432), val_accuracy_sd=0.0051),
        ],
        "figures": {"curves.png": "Loss of the three systems.", "batch.png": "A batch, just before the net."},
    },
    "overfit": {
        "summary": "32 channels learn the training set by heart.",
        "metrics": {"train_loss": 0.00093, "val_accuracy": 0.9722},
        "checks": [check("train_loss_is_low", 0.00093, "< 0.01"), check("capacity_helps", 0.0031, "> 0")],
        "predictions": [prediction("width 16 -> 32", "train_loss falls", "0.0052 -> 0.0009", "confirmed")],
        "scores": [score("convnet 32", (1.0, 0.00093), (0.9722, 0.1204), val_accuracy_sd=0.003)],
        "figures": {"ladder.png": "Training loss against width."},
    },
    "regularize": {
        "summary": "Shifts and weight decay are accepted, dropout is refused.",
        "metrics": {"val_accuracy": 0.9806},
        "checks": [check("still_beats_baseline", 0.0223, "> 0")],
        "predictions": [
            prediction("augment: shift", "val_loss falls by 0.02", "0.0471 ± 0.008 lower", "confirmed"),
            prediction("dropout 0 -> 0.3", "val_loss falls", "0.0007 ± 0.006 higher", "refuted"),
        ],
        "scores": [score("convnet 32, shifts", (0.9991, 0.0061), (0.9806, 0.0733), val_accuracy_sd=0.0028)],
    },
    "tune": {
        "summary": "TPE and random search end within seed noise of each other.",
        "metrics": {"val_accuracy": 0.9833, "trials": 24},
        "checks": [
            check("rerun_gives_the_same", 0.0, "= 0"),
            check("gain_beats_noise", 0.0027, "> 0.0056", verdict="fail", gate=False),
        ],
        "scores": [score("best trial", (0.9998, 0.0042), (0.9833, 0.0668), 1)],
        "figures": {"search.png": "Best value so far of both samplers, and what mattered."},
    },
    "ensemble": {
        "summary": "Six members, 98.61 % on test.",
        "metrics": {"test_accuracy": 0.9861, "test_loss": 0.0512},
        "checks": [check("saved_equals_fresh", 0.0, "= 0")],
        "scores": [
            score("ensemble of 6", (1.0, 0.0038), (0.9861, 0.0561), 6)
            | {"test_accuracy": 0.9861, "test_low": 0.9679, "test_high": 0.9943, "test_loss": 0.0512}
        ],
        "figures": {"calibration.png": "Confidence against accuracy."},
    },
}  # fmt: skip
OWN = {
    "stage": "report",
    "summary": "",
    "metrics": {"checks": 20},
    "checks": [check("every_stage_reported", 9, "= 9")],
}


def on_disk(content: dict) -> dict:
    """As report.Report writes it: figures, findings and metrics as lists."""
    figures = [{"file": file, "caption": caption} for file, caption in content.get("figures", {}).items()]
    rest = {k: v for k, v in content.items() if k not in ("summary", "figures")}
    rest |= {"metrics": [content.get("metrics", {})], "figures": figures}
    return rest | {"findings": [content.get("summary", "")]}


def fake(runs: Path, **changes) -> Path:
    """A runs/ with every stage's report.json and pictures.

    changes: stage=None leaves a stage out, stage={...} updates the fields of its report.json.
    """
    for stage, content in FAKE.items():
        if (change := changes.get(stage, {})) is None:
            continue
        content = {
            "stage": stage,
            "metrics": {},
            "checks": [],
            "predictions": [],
            "scores": [],
            "figures": {},
            "metric": [METRIC] if "scores" in content else [],
        } | content
        write_json(runs / stage / "report.json", on_disk(content | change))
        for file in content["figures"]:
            (runs / stage / file).write_bytes(picture(file))
        if stage == "baseline":
            (runs / stage / "batch.csv").write_text("step,loss\n1,2.3\n")
    return runs


@functools.cache
def picture(file: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with drawing(Path(folder, file), 6.4, 2.4 if file == "contact.png" else 3.4) as (_, axes):
            axes.plot([0, 1, 2, 3], [2.3, 0.9, 0.4, 0.2], label="train")
            axes.plot([0, 1, 2, 3], [2.3, 1.0, 0.5, 0.4], label="validation")
            axes.set_title(file.removesuffix(".png"))
            axes.legend()
        return Path(folder, file).read_bytes()


def closed_checks(**more):
    bad = check("overfit_one_batch", 0.5514, "< 0.02", "fail", evidence=["batch.png", "batch.csv"]) | more
    return {"checks": [FAKE["baseline"]["checks"][0], bad, *FAKE["baseline"]["checks"][2:]]}


def rendered(runs: Path, own=OWN) -> tuple[str, str]:
    render_report(runs, report=own)
    return (runs / "report.html").read_text(), (runs / "report.md").read_text()


def words(page: str) -> str:
    """The text of an HTML page, in reading order."""
    page = re.sub(r"<(style|svg)\b.*?</\1>", " ", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def plain(markdown: str) -> str:
    """The text of the Markdown twin."""
    return " ".join(html.unescape(re.sub(r"\\(.)", r"\1", markdown)).replace("`", " ").split())
