"""What the chosen thresholds change on test: the F1 of labels, or of the rarer of two classes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recipe.formatting import interval
from recipe.metrics.resampling import percentiles
from recipe.metrics.scores import bootstrap
from recipe.tasks.task import Task


def sentence(task: Task, thresholds: Sequence[float], p: Tensor, actual: Tensor) -> str:
    """Of predictions p (N, K) on test; empty where there are no thresholds."""
    if not thresholds:
        return ""
    rare = int(torch.bincount(actual.long().flatten()).argmin())
    is_positive = task.choose(classes=lambda a: (a == rare)[:, None], labels=lambda a: a > 0.5, quantities=lambda a: a)
    answers = task.answers(thresholds=thresholds), task.answers()
    chosen, half = (is_positive(answer.decided(p)) for answer in answers)
    after, before, low, high = f1_gain(chosen, half, is_positive(actual))
    least = dict(zip(task.choose(classes=task.names[1:], labels=task.names, quantities=()), thresholds, strict=True))
    listed = ", ".join(f"{name} from {t:.3g}" for name, t in least.items())
    of = task.choose(classes=f"the F1 of {task.names[rare % len(task.names)]}", labels="the mean F1", quantities="")
    return (
        f"Predicted from a probability on that has the highest F1 on validation: {listed}. On test {of} is {after:.3f} "
        f"with it and {before:.3f} at 0.5 (difference {after - before:.3f}, {interval(low, high)}, n = {len(p):,} "
        "examples)."
    )


def f1_gain(chosen: Tensor, half: Tensor, positive: Tensor) -> tuple[float, float, float, float]:
    """(mean F1 over the columns of `chosen`, of `half`, and the 95 % interval of their difference); all bool (N, L)."""
    counts = torch.cat([chosen & positive, half & positive, chosen, half, positive], 1).double()
    both = np.concatenate([counts.mean(0, keepdim=True).numpy(), bootstrap(counts)])
    hit_chosen, hit_half, of_chosen, of_half, of_positive = np.split(both, 5, axis=1)
    with np.errstate(invalid="ignore"):
        after, before = (
            np.nan_to_num(2 * hits / (taken + of_positive)).mean(1)
            for hits, taken in ((hit_chosen, of_chosen), (hit_half, of_half))
        )
    return float(after[0]), float(before[0]), *percentiles((after - before)[1:])
