"""The evaluation: one number for one model, whatever the order and the batches; nothing left out, nothing changed."""

import copy

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from recipe.checks import loss
from recipe.checks.dependencies import named
from recipe.checks.inputs import at_the_door, flat, numbers
from recipe.checks.setup import Setup, once
from recipe.rng import generator
from recipe.verdict import FAIL, PASS, Verdict, below, check, exactly, skip


def measure(s: Setup, model: nn.Module, batch_size: int = 64, backwards: bool = False) -> float:
    """The person's evaluate on val."""
    x, y = (t.flip(0) if backwards else t for t in s.unseen)
    return float(s.evaluate(model, DataLoader(TensorDataset(x, y), batch_size=batch_size)))


def slightly_trained(s: Setup) -> nn.Module:
    return copy.deepcopy(s.started)


def apart(a: float, b: float) -> float:
    """The relative difference of two scores; near zero, where R2 may lie, the absolute one."""
    return abs(a - b) / max(abs(a), 0.05)


@check(source="Recipe 2, add significant digits")
def everything_is_counted(s: Setup) -> Verdict:
    """The evaluation runs every example of val through the model: once, or as often as each other one.

    `drop_last=True`, a `break` left from debugging, a sampler that draws with replacement. Several views of each
    example, as of test-time augmentation, are a whole multiple.
    """
    model, counted = slightly_trained(s), []
    hook = model.register_forward_pre_hook(lambda _, args: counted.append(len(args[0])))
    measure(s, model)
    hook.remove()
    total, n = sum(counted), len(s.unseen[1])
    return exactly(total if total % n or not total else n, n)


@check(source="mlcommons/training#89; udacity/deep-learning-v2-pytorch#74; Nota-NetsPresso/netspresso-trainer#360")
def evaluation_ignores_batches(s: Setup, limit: float = 1e-5) -> Verdict:
    """The metric is the same for another batch size and for another order.

    A mean of batch means weighs a short last batch too much; a division by batches times batch size; or the model mixes
    examples of a batch.
    """
    model = slightly_trained(s)
    first = measure(s, model)
    model.eval()
    others = []
    for size, backwards in ((50, False), (7, False), (64, True)):
        others.append(measure(s, model.eval(), size, backwards))
    return below(max(apart(first, other) for other in others), limit)


@check(source="Recipe 2, add significant digits")
def evaluation_repeats(s: Setup, limit: float = 1e-6) -> Verdict:
    """Evaluated again, the same model has the same score.

    Counts or sums that are not reset, a random sample or crop of val, dropout that is still on.
    """
    model = slightly_trained(s)
    first = measure(s, model.eval())
    second = measure(s, model.eval())
    measure(s, s.fresh().eval())  # another model in between must leave no trace
    return below(max(apart(first, value) for value in (second, measure(s, model.eval()))), limit)


@check(source="Karpathy, most common neural net mistakes, no. 2; ipolharvard/ethos-ares#20; pytorch/pytorch#76383")
def evaluation_leaves_the_model_alone(s: Setup) -> Verdict:
    """Evaluating puts the model in eval mode and changes no weight and no statistic.

    `model.eval()` forgotten: dropout is on and batch norm learns from val. A step of the optimizer or a gradient left
    in the evaluation. The value counts what differs.
    """
    still = measure(s, slightly_trained(s).eval())
    model = slightly_trained(s).train()
    model.zero_grad(set_to_none=True)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    moving = measure(s, model)
    changed = sum(not t.equal(before[n]) for n, t in model.state_dict().items())
    left = any(p.grad is not None and p.grad.any() for p in model.parameters())
    return exactly(changed + int(apart(still, moving) > 1e-6) + int(left), 0)


class Answers(nn.Module):
    """A model that knows: gives the next rows of a table, whatever the input."""

    def __init__(self, rows: Tensor):
        super().__init__()
        self.rows, self.at = rows, 0
        self.weight = nn.Parameter(torch.zeros(1, device=rows.device))  # asked for its device by some evaluations

    def forward(self, x: Tensor) -> Tensor:
        index = (torch.arange(len(x)) + self.at) % len(self.rows)
        self.at += len(x)
        return self.rows[index.to(self.rows.device)]


def _answers(s: Setup, right: float) -> Tensor:
    """Outputs for val of which the share `right` is right, the rest as wrong as can be."""
    y = s.unseen[1]
    wrong = torch.arange(len(y)) >= right * len(y)
    wrong = wrong[torch.randperm(len(y), generator=generator(s.seed, "wrong"))].to(y.device)
    if s.kind == "regression":
        answer = torch.where(wrong.reshape(-1, *[1] * (y.ndim - 1)), 2 * y.double().mean(0) - y, y.double()).to(y.dtype)
        return answer.reshape(len(y), *s.shape)
    noise = 0.1 * torch.randn((len(y), *s.shape), generator=generator(s.seed, "answers")).to(y.device)
    if s.kind == "binary":
        sign = torch.where(wrong.reshape(-1, *[1] * (y.ndim - 1)), 1 - 2 * y, 2 * y - 1)
        z = noise + 8 * sign.reshape(len(y), *s.shape)
    else:
        told = torch.nn.functional.one_hot(y.clamp(0, s.shape[-1] - 1).long(), s.shape[-1])
        z = noise + 8 * torch.where(wrong.reshape(-1, *[1] * (told.ndim - 1)), -told, told)
    at = loss.reach(s)
    return at.allowed(z)


@once
def known_answers(s: Setup) -> list[tuple[float, float, float]]:
    """(share right, the person's metric in one batch, our score) of models whose answers are known."""
    if s.kind == "regression" and not loss.wants_the_target_itself(s):
        raise ValueError("the loss wants a function of the target")
    found = []
    for share in (1.0, 0.85, 0.6, 0.0):
        rows = _answers(s, share)
        found.append((share, measure(s, Answers(rows), len(rows)), s.score(rows, s.unseen[1])))
    return found


@check(source="Recipe 2, set up the end-to-end evaluation skeleton")
def evaluation_tells_right_from_wrong(s: Setup, span: float = 0.5) -> Verdict:
    """A model that knows every answer scores far from one that is always wrong, and a middling one in between.

    Labels shifted or permuted in the evaluation, an argmax over the wrong dimension, targets compared with themselves.
    """
    try:
        scores = [metric for _, metric, _ in known_answers(s)]
    except Exception as error:  # an evaluation may ask more of a model than to be called
        return skip(f"the evaluation wants more than a callable model: {type(error).__name__}")
    ordered = scores == sorted(scores) or scores == sorted(scores, reverse=True)
    if not ordered:
        return Verdict(FAIL, " ".join(f"{v:.3g}" for v in scores), "in order")
    least = span * (max(abs(scores[0]), abs(scores[-1])) if s.kind == "regression" else 1.0)
    return Verdict(
        PASS if abs(scores[0] - scores[-1]) >= least else FAIL, abs(scores[0] - scores[-1]), f">= {least:.4g}"
    )


@check(source="PyTorch documentation, torch.nn.CrossEntropyLoss, ignore_index")
def evaluation_ignores_padding(s: Setup, limit: float = 1e-6) -> Verdict:
    """Sequences that are longer by positions the loss does not listen to have the same score.

    Accuracy over all positions counts padding as wrong or, where it is easily said, as right. The value is the largest
    difference that some padding makes to the score of answers that are known.
    """
    x, y = s.unseen
    if s.kind != "sequence":
        return skip("the targets are no sequences")
    z = torch.randn((len(y), *s.shape), generator=generator(s.seed, "padding")).to(y.device).requires_grad_()
    (g,) = torch.autograd.grad(s.loss(loss.reach(s).allowed(z), y), z)
    silent = y[(g == 0).all(-1)]
    if not len(silent):
        return skip("the loss listens to every position")
    rows, more = _answers(s, 0.6), y.shape[1] // 2 + 1
    padding = torch.full_like(y[:, :1], int(silent.mode().values)).expand(-1, more)
    said = 8 * torch.nn.functional.one_hot(padding.clamp(0, s.shape[-1] - 1).long(), s.shape[-1]).to(rows)
    longer = torch.cat([x, x[:, -1:].expand(-1, more, *x.shape[2:])], 1) if x.shape[1:2] == y.shape[1:2] else x
    parts = [(x, y, rows)] + [
        (longer, torch.cat([y, padding], 1), torch.cat([rows, part], 1)) for part in (said, -said)
    ]
    try:
        scores = [
            float(s.evaluate(Answers(known), DataLoader(TensorDataset(a, b), batch_size=len(b))))
            for a, b, known in parts
        ]
    except Exception as error:  # an evaluation may ask more of a model than to be called
        return skip(f"the evaluation wants more than a callable model: {type(error).__name__}")
    return below(max(abs(score - scores[0]) for score in scores[1:]), limit)


@check(source="PolymathicAI/the_well#68; Recipe 2, visualize just before the net")
def evaluation_feeds_what_training_feeds(s: Setup, shift: float = 0.5, ratio: float = 2.0) -> Verdict:
    """What enters the net in the evaluation has the place and the scale of what enters it in the training step.

    The step normalises its batch and the evaluation does not, or the other way round; one of them divides by 255. The
    value is the distance of the means in spreads, or the ratio of the spreads.
    """
    if not numbers(s):
        return skip("the inputs are indices")
    model, entered, door = slightly_trained(s), [], at_the_door(s, False)
    hook = model.register_forward_pre_hook(lambda _, args: entered.append(args[0].detach()))
    # the same examples through both: val may hold others, as a split does that keeps groups whole
    for x, y in door.given:
        s.evaluate(model, DataLoader(TensorDataset(x, y), batch_size=len(y)))
    hook.remove()
    a, b = flat(door.entered), flat(entered)
    moved = ((a.mean() - b.mean()).abs() / a.std().clamp_min(1e-12)).item()
    scale = (a.std() / b.std().clamp_min(1e-12)).item()
    verdict = below(moved, shift)
    return below(max(scale, 1 / max(scale, 1e-12)), ratio) if verdict.ok else verdict


@check(source="mlcommons/training#89; Recipe 2, add significant digits")
def evaluation_equals_ours(s: Setup, limit: float = 1e-5) -> Verdict:
    """Where the metric is plain accuracy (or R2), it equals the one recomputed here, over ragged batches as well.

    A mean of batch means, a count of batches for a count of examples, rounding, examples dropped. Whether it is plain
    accuracy shows on models whose answers are known.
    """
    try:
        alike = all(abs(metric - score) < 1e-4 for _, metric, score in known_answers(s))
        if alike and s.kind in ("classification", "sequence") and s.shape[-1] > 2:
            # the right class comes second: a top-5 accuracy takes it for right
            rows, y = _answers(s, 1.0), s.unseen[1]
            second = rows.scatter(
                -1, ((rows.argmax(-1, keepdim=True) + 1) % s.shape[-1]), rows.amax(-1, keepdim=True) + 1
            )
            alike = abs(measure(s, Answers(second), len(rows)) - s.score(second, y)) < 1e-4
    except Exception as error:
        return skip(f"the evaluation wants more than a callable model: {type(error).__name__}")
    if not alike:
        return skip("the metric is another one than accuracy or R2")
    model = slightly_trained(s)
    return below(apart(s.score(s.outputs(model, s.unseen[0]), s.unseen[1]), measure(s, model.eval())), limit)


@once
def _reloaded(s: Setup) -> tuple[list[str], float]:
    """(names that do not fit, relative difference of the outputs) of a fresh model with a trained one's state."""
    other = s.fresh(s.seed + 1)
    try:
        other.load_state_dict({n: t.clone() for n, t in s.started.state_dict().items()})
    except RuntimeError as error:
        return [str(error).splitlines()[-1].strip()[:80]], float("inf")
    x = s.unseen[0][:64]
    ours, theirs = s.outputs(copy.deepcopy(s.started), x), s.outputs(other, x)
    return [], ((ours - theirs).abs().max() / ours.abs().max().clamp_min(1e-6)).item()


@check(source="PyTorch documentation, saving and loading models; maruya24/pytorch_robotics_transformer#3")
def a_checkpoint_holds_the_model(s: Setup, moved: float = 1e-5) -> Verdict:
    """A fresh model with the trained one's state_dict gives the trained one's answers.

    Something that training changes is no parameter and no buffer: a plain tensor, a layer in a plain list, statistics
    kept in an attribute. What is saved is then not what was evaluated.
    """
    wrong, difference = _reloaded(s)
    return named(wrong, len(wrong)) if wrong else below(difference, moved)
