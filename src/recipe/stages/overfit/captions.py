"""The figures and sentences of the overfit stage."""

from recipe.experiment.arms import score
from recipe.metrics.metric import Metric
from recipe.stages.overfit.capacity_ladder import SizedModel

EVIDENCE = {"training_set_is_learned": ["ladder.png"], "capacity_lowers_training_loss": ["ladder.png"]}
FIGURES = {
    "ladder.png": "losses of every model of the capacity ladder: no regularisation, constant learning rate; "
    "training losses are of a sample, and the dot at their end is of all training examples"
}


def score_row(best: SizedModel) -> dict:
    return score(f"overfit, {best.name}", [best.trained.curve[-1]])


def metrics(best: SizedModel, metric: Metric) -> dict:
    score = score_row(best)
    scores = {name: score[name] for name in ("train_loss", "val_loss", f"val_{metric.name}")}
    return scores | {"parameters": best.parameters, "epochs": best.trained.curve[-1]["epoch"]}


def summary(best: SizedModel, enough: float) -> str:
    """enough: the training loss below which a model has learned the training set."""
    model, last = f"{best.name} ({best.parameters:,} parameters)", best.trained.curve[-1]
    reached = f"a training loss of {best.train_loss:.3f} after {last['epoch']:.3g} passes"
    if best.learned(enough):
        return f"{model} is the smallest model of the ladder that learns the training set by heart: {reached}."
    if best.overfits:
        lowest = best.lowest
        return (
            f"{model} is the smallest model of the ladder that overfits: {reached}, while its validation loss has "
            f"risen from {lowest['val_loss']:.3f} after {lowest['epoch']:.3g} passes to {last['val_loss']:.3f}."
        )
    return f"No model of the ladder learns the training set by heart; {model} comes nearest: {reached}."
