"""Metrics of predicted probabilities (N, L) against labels (N, L) of 0 and 1."""

import torch
from torch import Tensor

from recipe.metrics.metric import Metric


def _macro_average_precision(p: Tensor, actual: Tensor) -> float:
    from sklearn.metrics import average_precision_score  # scikit-learn takes seconds to import

    present = (actual > 0.5).any(0)
    if not present.any():
        return float("nan")
    return float(average_precision_score(actual[:, present].cpu(), p[:, present].cpu(), average="macro"))


def _of_networks(outputs: Tensor, y: Tensor) -> Tensor:
    values = [_macro_average_precision(one, (y > 0.5).double()) for one in outputs]
    return torch.tensor(values, dtype=torch.float64, device=outputs.device)


METRICS = {
    "macro_average_precision": Metric(
        "macro_average_precision", "macro average precision", _macro_average_precision, _of_networks
    ),
}
