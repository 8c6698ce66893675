"""Real, published silent bugs as small mutations of healthy trainings, and unusual trainings that are healthy.

`CATALOGUE` and `HEALTHY` map a name to a function of a seed that gives a Setup.
"""

from bugs import data, evaluation, loop, model, pretrained, reference, texts, unusual_models, unusual_training
from bugs.registry import CATALOGUE, Bug

HEALTHY = (
    {"H01 reference": reference.on_digits}
    | pretrained.HEALTHY
    | texts.HEALTHY
    | unusual_models.HEALTHY
    | unusual_training.HEALTHY
)

__all__ = ["CATALOGUE", "HEALTHY", "Bug", "data", "evaluation", "loop", "model", "pretrained", "texts"]
