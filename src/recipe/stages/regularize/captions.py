"""The figures and sentences of the regularize stage."""

from omegaconf import DictConfig

from recipe.experiment.arms import TEST, TEST_OF_FOLDS
from recipe.formatting import count
from recipe.metrics.metric import Metric
from recipe.stages.regularize import learning_curve
from recipe.stages.regularize.ablation import Ablation
from recipe.stages.regularize.diagnostics import Diagnostics
from recipe.stages.regularize.learning_curve import LearningCurve

FIRST_LAYER = "first_layer.png"
EVIDENCE = {
    "something_helped": ["gains.png"],
    "first_layer_is_not_noise": [FIRST_LAYER],
    "units_stay_alive": ["activations.png"],
    "activations_are_not_saturated": ["activations.png"],
    "augmentation_keeps_the_label": ["inputs.png"],
    "extra_examples_look_real": ["inputs.png"],
}
FIGURES = {
    "gains.png": "every candidate change in the order of trying: by how much it improves what it is judged by, with a "
    "confidence interval over trainings (Bonferroni-corrected where a change has several levels); and the gap between "
    "training and validation loss, means over trainings",
    "learning_curve.png": "error and loss with less data, and the power law up to twice the data; the interval is over "
    "trainings, and for the error over validation examples too",
    "inputs.png": "the same training examples, original and as each candidate that changes the input gives them; "
    "of a second source, its examples of the same classes",
    FIRST_LAYER: "weights of the accepted recipe's first layer, first training",
    "activations.png": "every activation of the accepted recipe's network over all of val, first training",
    "curves.png": "losses of every candidate's best level, one line per training; in grey the validation loss without "
    "regularisation",
}


def figure_captions(diagnosed: Diagnostics) -> dict[str, str]:
    """first_layer.png is empty where the first layer sees no image."""
    return {file: caption for file, caption in FIGURES.items() if file != FIRST_LAYER or diagnosed.filters is not None}


def scores(result: Ablation) -> list[dict]:
    return [result.base.score(), result.accepted.score() | {"system": "regularized"}]


def metrics(result: Ablation, metric: Metric) -> dict:
    row = result.accepted.score()
    return {k: row[k] for k in ("train_loss", "val_loss", f"val_{metric.name}")} | {"kept": len(result.kept)}


def summary(result: Ablation, cfg: DictConfig) -> str:
    tried = sum(candidate.best is not None for candidate in result.candidates)
    test = TEST_OF_FOLDS if result.base.folds else TEST
    how = f"({test}, {100 * cfg.confidence:.4g} % CI, n = {result.base.sample})"
    improves = result.objective.improves
    if not result.kept:
        return f"None of {count(tried, 'candidate change')} gives a {improves} by more than noise {how}."
    return (
        f"{len(result.kept)} of {count(tried, 'candidate change')} give a {improves} by more than noise {how} "
        f"and are kept: {', '.join(result.kept)}."
    )


def findings(result: Ablation, curves: list[LearningCurve], cfg: DictConfig) -> list[str]:
    return [
        *learning_curve.sentences(curves, result.base.sample, cfg.confidence),
        false_positives(result, cfg.confidence),
    ]


def false_positives(result: Ablation, confidence: float) -> str:
    """What the reader of several tests must know, in a sentence."""
    tried = sum(candidate.best is not None for candidate in result.candidates)
    left = len(result.candidates) - tried
    skipped = f" {count(left, 'candidate change')} {'was' if left == 1 else 'were'} skipped." if left else ""
    return (
        f"{count(tried, 'candidate change')} {'was' if tried == 1 else 'were'} tried; if none had any effect, "
        f"{tried * (1 - confidence) / 2:.2g} would be kept by chance on average.{skipped}"
    )
