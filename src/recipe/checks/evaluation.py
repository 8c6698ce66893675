"""The evaluation: one number for one model, whatever the order and the batches; nothing left out, nothing changed."""

from collections.abc import Callable

import torch
from torch.utils.data import DataLoader, TensorDataset

from recipe.checks.setup import Setup
from recipe.checks.verdict import Verdict, below, check, exactly


def accuracy(model, loader) -> float:
    """Ours: right answers over examples, in eval mode; leaves the model's modes as they were."""
    modes = {m: m.training for m in model.modules()}
    model.eval()
    with torch.no_grad():
        right, count = 0, 0
        for x, y in loader:
            right, count = right + int((model(x).argmax(1) == y).sum()), count + len(y)
    for module, training in modes.items():
        module.training = training
    return right / count


def _measure(s: Setup) -> tuple[Callable, torch.nn.Module]:
    """(score(batch size, reversed), model): the person's evaluate on a slightly trained model."""
    model, _ = s.trained(30)
    x, y = s.unseen
    evaluate = s.evaluate or accuracy

    def score(batch_size: int = 64, backwards: bool = False) -> float:
        pair = (x.flip(0), y.flip(0)) if backwards else (x, y)
        return float(evaluate(model, DataLoader(TensorDataset(*pair), batch_size=batch_size)))

    return score, model


@check(source="Recipe 2, add significant digits")
def everything_is_counted(s: Setup) -> Verdict:
    """The evaluation runs every example of val through the model, once.

    `drop_last=True`, a `break` left from debugging, or a sampler that draws with replacement.
    """
    score, model = _measure(s)
    counted = []
    hook = model.register_forward_pre_hook(lambda _, args: counted.append(len(args[0])))
    score()
    hook.remove()
    return exactly(sum(counted), len(s.unseen[1]))


@check(source="mlcommons/training#89")
def evaluation_ignores_batches(s: Setup, limit: float = 1e-5) -> Verdict:
    """The metric is the same for another batch size and for another order.

    A mean of batch means weighs a short last batch too much; or the model mixes examples of a batch.
    """
    score, model = _measure(s)
    model.eval()
    first = score(64)
    worst = max(abs(score(size, back) - first) for size, back in ((50, False), (7, False), (64, True)))
    return below(worst / max(abs(first), 0.05), limit)


@check(source="Karpathy, most common neural net mistakes, no. 2; optuna/optuna#1725")
def evaluation_leaves_the_model_alone(s: Setup) -> Verdict:
    """Evaluating puts the model in eval mode, changes no weight or statistic, and restores its mode.

    `model.eval()` forgotten: dropout is on and batch norm learns from val. `model.train()` not restored: training goes
    on without dropout. The value counts what differs.
    """
    score, model = _measure(s)
    model.eval()
    still = score()
    model.train()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    moving = score()
    changed = sum(not t.equal(before[n]) for n, t in model.state_dict().items())
    return exactly(changed + (moving != still) + (not model.training), 0)
