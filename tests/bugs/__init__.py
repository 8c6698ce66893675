"""Real, published silent bugs as small mutations of healthy trainings, and unusual trainings that are healthy.

`CATALOGUE` and `HEALTHY` map a name to a function of a seed that gives a Setup.
"""

from bugs import data, evaluation, loop, model
from bugs.registry import CATALOGUE, Bug
from bugs.unusual import HEALTHY

__all__ = ["CATALOGUE", "HEALTHY", "Bug", "data", "evaluation", "loop", "model"]
