"""Folds of a cross-validation: train and val divided into equal parts, each of which validates once."""

from collections.abc import Sequence

from recipe.data.splits import assign

ALL = -1
FOLDS_NEED = (
    "Set `folds: null`, or let all of train and val be divided at random: `split: {given: ignore, by: random}` in "
    "params.yaml."
)


def fold_numbers(strata: Sequence[Sequence[int]], groups: Sequence[str], folds: int, seed: int) -> list[int]:
    """The fold 0 to `folds` - 1 of each example, by the rule of `assign`: strata evenly, no group divided.

    Stratified and grouped k-fold cross-validation (Kohavi 1995, A study of cross-validation and bootstrap).
    """
    names = [str(number) for number in range(folds)]
    # one more stratum, of all examples: else what is left over of each would always go to the first folds
    of_all = [(*inside, ALL) for inside in strata]
    return [int(name) for name in assign(of_all, groups, dict.fromkeys(names, 1 / folds), seed)]
