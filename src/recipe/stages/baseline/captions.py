"""The figures and sentences of the baseline stage."""

from recipe.stages.baseline.baselines import Baseline

EVIDENCE = {"inputs_are_scaled": ["door.png"], "beats_a_blind_model": ["dynamics.png"]}
FIGURES = {
    "door.png": "the first training batch as it enters the network, in the original pixel values, with its labels",
    "curves.png": "losses of each trained baseline and of the configured model, one line per seed",
    "dynamics.png": "prediction dynamics: the probability of the right class for a fixed validation batch during "
    "training",
}
METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def metrics(scores: list[dict]) -> dict[str, float]:
    """Of the configured model, which is the last of the scores."""
    return {name: scores[-1][name] for name in METRICS}


def curves(baselines: list[Baseline]) -> dict[str, list[list[dict]]]:
    """{system: a curve per seed} of the baselines that are trained."""
    return {b.name: [t.curve for t in b.trained] for b in baselines[1:]}


def summary(scores: list[dict]) -> str:
    """scores: a row per system, the configured model last."""
    *baselines, model = scores
    others = ", ".join(f"{s['system']} {s['val_accuracy']:.1%}" for s in baselines)
    return f"{model['system']} has a validation accuracy of {model['val_accuracy']:.1%}; the baselines have {others}."
