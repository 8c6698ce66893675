"""A user's own metric: a plain function of targets and predictions, as scikit-learn's are."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recipe.errors import RecipeError
from recipe.metrics.metric import Metric, array
from recipe.metrics.weighted import Array
from recipe.verdict import cause

if TYPE_CHECKING:
    from torch import Tensor

NAME = r"(?!loss)[a-z][a-z0-9_]*"  # `val_loss` is a column of its own
TAKEN = ("low", "high", "coverage")  # test_<name> is a column or a number that every report may have


@dataclass(frozen=True)
class UserFunction:
    """function: (targets, predictions) -> a number, both numpy arrays: class numbers (N,) and probabilities (N, K); 0
    and 1 (N, L) and probabilities (N, L); quantities (N, T) and quantities (N, T) in their unit."""

    function: Callable[[Array, Array], Any]
    name: str
    higher_is_better: bool = True
    percent: bool = False
    unit: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):
            raise RecipeError(
                f"`metric.name: {self.name}` names columns such as val_<name>: it must consist of small letters, "
                "digits and underscores, begin with a letter, and not with `loss`."
            )
        if self.name in TAKEN:
            raise RecipeError(
                f"`metric.name: {self.name}` is the name of another number, test_{self.name}: choose another name."
            )

    def metric(self, networks: "Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]") -> Metric:
        """networks: (outputs (N, K) of one network, y) -> (p, actual)."""

        def of_networks(outputs: "Tensor", y: "Tensor") -> "Tensor":
            return outputs.double().new_tensor([self.value(*networks(each, y)) for each in outputs])

        return Metric(
            self.name, self.name.replace("_", " "), self.value, of_networks,
            self.higher_is_better, self.percent, self.unit, weighted=self._weighted,
        )  # fmt: skip

    def value(self, p: Any, actual: Any) -> float:
        """Raises RecipeError where the function raises, or gives no number."""
        targets, predictions = array(actual), array(p)
        given = f"targets {targets.shape} {targets.dtype} and predictions {predictions.shape} {predictions.dtype}"
        try:
            result = self.function(targets, predictions)
        except Exception as error:  # a user's function may raise anything
            raise RecipeError(f"metric `{self.name}` failed on {given}: {cause(error)}") from error
        if not isinstance(result, (int, float, np.number)) and getattr(result, "shape", None) != ():
            raise RecipeError(
                f"metric `{self.name}` gave a {type(result).__name__} for {given}; it must give one number."
            )
        return float(result)

    def _weighted(self, p: Array, actual: Array, w: Array) -> Array:
        """Draw by draw; one that the function cannot take, as where a rare class is missing, has no value."""
        places = np.arange(w.shape[1])
        values = np.full(len(w), np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for i, row in enumerate(w):
                drawn = np.repeat(places, row.astype(int))
                try:
                    values[i] = self.value(p[drawn], actual[drawn])
                except RecipeError:
                    continue  # the value of all examples, which exists, was computed before
        return values
