"""Claims about the final system."""

from dataclasses import dataclass

import torch

from recipe.checks.verdict import FAIL, PASS, Verdict, above, check, exactly
from recipe.ensemble import Quality


@dataclass(frozen=True)
class Final:
    saved: torch.Tensor  # probabilities read back from the saved table (N, K)
    fresh: torch.Tensor  # of members loaded anew from their files (N, K)
    expected: int  # examples of the test list
    overlap: int  # test examples that also stand in train or val
    members: list[Quality]  # on val
    together: Quality  # on val
    floor: float  # the constant's accuracy


@check(source="Recipe 6, ensembles")
def predictions_are_the_models(f: Final, limit: float = 1e-6) -> Verdict:
    """The saved predictions are those of the saved members, loaded anew.

    Weights were saved from another step than the predictions, rows were sorted differently, or the model keeps state
    that its weights do not hold.
    """
    worst = (f.saved - f.fresh).abs().max().item()
    return Verdict(PASS if worst <= limit else FAIL, worst, f"<= {limit:g}")


@check(source="Recipe 2, add significant digits")
def whole_test_set_is_counted(f: Final) -> Verdict:
    """Every test example is predicted once, and none of them was trained or chosen on.

    A loader that drops the last batch, or split lists that were edited by hand.
    """
    return exactly(len(f.saved) - f.overlap, f.expected)


@check(source="Recipe 2, dumb baselines")
def final_score_beats_the_constant(f: Final) -> Verdict:
    """The final system is better than the constant answer by more than its interval.

    Test inputs prepared otherwise than train, or labels of another order.
    """
    return above(f.together.interval()[0], f.floor)


@check(source="Recipe 6, ensembles", gate=False)
def ensemble_beats_its_best_member(f: Final) -> Verdict:
    """On val, the averaged members have a lower negative log-likelihood than the best of them.

    Members that agree on everything add nothing: give them other seeds, data or shapes.
    """
    best = min(m.nll for m in f.members)
    return Verdict(PASS if f.together.nll < best else FAIL, f.together.nll, f"< {best:.4g}")
