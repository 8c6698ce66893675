"""The figures and sentences of the baseline stage."""

from recipe.metrics.metric import Metric
from recipe.stages.baseline.baselines import Baseline

EVIDENCE = {"inputs_are_scaled": ["door.png"], "beats_a_blind_model": ["dynamics.png"]}
FIGURES = {
    "door.png": "the first training batch as it enters the network, with its targets: images in their original pixel "
    "values, rows of a table in standard deviations from the mean of each column",
    "curves.png": "losses of each trained baseline and of the configured model, one line per seed; training losses "
    "are of a sample, and the dot at their end is of all training examples",
    "dynamics.png": "prediction dynamics: how well the predictions for a fixed validation batch fit during training",
}


def metrics(scores: list[dict], metric: Metric) -> dict[str, float]:
    """Of the configured model, which is the last of the scores."""
    names = ("train_loss", f"train_{metric.name}", "val_loss", f"val_{metric.name}")
    return {name: scores[-1][name] for name in names}


def curves(baselines: list[Baseline]) -> dict[str, list[list[dict]]]:
    """{system: a curve per seed} of the baselines that are trained."""
    return {b.name: [t.curve for t in b.trained] for b in baselines if b.changes}


def summary(scores: list[dict], metric: Metric) -> str:
    """scores: a row per system, the configured model last."""
    *baselines, model = ((s["system"], metric.shown(s[f"val_{metric.name}"])) for s in scores)
    others = ", ".join(f"{system} {value}" for system, value in baselines)
    return f"{model[0]} has a validation {metric.title} of {model[1]}; the baselines have {others}."
