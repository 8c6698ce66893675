"""Metrics of predicted probabilities (N, K) against classes (N,)."""

from torch import Tensor

from recipe.metrics.metric import Metric
from recipe.metrics.scores import right


def _accuracy(p: Tensor, y: Tensor) -> float:
    return right(p, y).mean().item()


def _accuracy_of_networks(outputs: Tensor, y: Tensor) -> Tensor:
    """Without probabilities, which may round two outputs to one value."""
    return (outputs.argmax(-1) == (y if y.ndim == 1 else y.argmax(1))).float().mean(1)


ACCURACY = Metric("accuracy", "accuracy", _accuracy, _accuracy_of_networks, percent=True, counts_examples=True)
METRICS = {metric.name: metric for metric in (ACCURACY,)}
