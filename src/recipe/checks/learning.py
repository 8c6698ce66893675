"""Short trainings that any healthy set-up must pass."""

import math

import torch
from torch import Tensor, nn

from recipe.checks.measurements.batch_capture import step_mixes_examples
from recipe.checks.measurements.best_loss import best_constant, best_outputs, is_density, lowest_loss
from recipe.checks.measurements.neighbours import nearest_in_train
from recipe.checks.measurements.optimizer_steps import first_steps
from recipe.checks.measurements.scoring import agreement
from recipe.checks.measurements.short_run import short_run
from recipe.checks.measurements.signal import (
    NO_SIGNAL,
    columns_may_be_uninformative,
    label_offset,
    losses_on_val,
    neighbour_agreement,
    neighbour_agreement_in_val,
    share_saved_by_inputs,
)
from recipe.checks.parts import main
from recipe.checks.setup import Setup
from recipe.metrics import power
from recipe.metrics.power import Estimate
from recipe.rng import seeded
from recipe.verdict import FAIL, PASS, UNDECIDED, DoesNotApply, Verdict, above, below, check, skip, undecided

SETTLING = 10  # steps between two looks at eval mode, while statistics settle
CLIMBING = 300  # steps after which one batch is no longer learned where the loss is above that of the first step


def _overfit_batch(
    s: Setup, optimizer: torch.optim.Optimizer, model: nn.Module, steps: int, size: int, limit: float, right: float
) -> tuple[float, float]:
    """(share of the loss left, score) after training only on one batch.

    A deep network with batch norm may reach the limit in twenty steps, before its running statistics have followed: it
    trains on until eval mode has the right answers, too.
    """
    x, y = s.batch(size)
    lowest = lowest_loss(s, y)
    losses: list[float] = []
    settled = 0  # steps at the limit
    with seeded(s.seed, "train"):
        while len(losses) < steps or (_still_falls(losses, lowest) and len(losses) < 4 * steps):
            losses.append(float(s.train_step(model, optimizer, x, y, s.loss)))
            reached = len(losses) > 20 and max(losses[-20:]) < lowest + 0.3 * limit * (losses[0] - lowest)
            if reached and settled % SETTLING == 0 and _score(s, model, x, y) >= right:
                break
            if len(losses) == CLIMBING and sorted(losses[-20:])[10] > losses[0]:
                break
            settled += reached
    first, recent = losses[0], losses[-20:]
    outputs = s.outputs(model, x)
    in_eval_mode = s.loss_of(outputs, y).item()
    final = min(sorted(recent)[len(recent) // 2], float("inf") if math.isnan(in_eval_mode) else in_eval_mode)
    return (final - lowest) / max(first - lowest, 1e-9), agreement(s, outputs, y)


def _score(s: Setup, model: nn.Module, x: Tensor, y: Tensor) -> float:
    """In eval mode; leaves the model's modes as they were."""
    modes = [(m, m.training) for m in model.modules()]
    score = agreement(s, s.outputs(model, x), y)
    for module, training in modes:
        module.training = training
    return score


def _still_falls(losses: list[float], lowest: float) -> bool:
    """Some of the loss of 200 steps ago is gone: the training is slow, not stuck."""
    then, now = (sorted(part)[len(part) // 2] for part in (losses[-220:-200], losses[-20:]))
    return now - lowest < 0.97 * (then - lowest)


@check(source="Recipe 2, overfit one batch")
def overfit_one_batch(
    s: Setup,
    limit: float = 0.1,
    mixed: float = 0.35,
    noisy: float = 0.6,
    right: float = 0.9,
    size: int = 16,
    steps: int = 1000,
) -> Verdict:
    """The model can overfit one batch, down to the lowest loss that any outputs reach.

    Stuck near the start: the learning rate is far off, gradients do not arrive, or equal inputs have different labels,
    which `declare: {irreducible_noise: true}` in params.yaml allows for. Stuck above the minimum: softmax is applied
    twice. Low loss, but wrong predictions: labels are shifted. The value is the share of the loss that is left; the
    bound tells whether plain Adam succeeds.
    """
    if is_density(s):
        return skip("several outputs per target, as of a density: no lowest loss on single examples")
    uncertain = s.kind == "sequence" or s.declare.irreducible_noise  # the same start can continue in several ways
    if uncertain:
        limit, right = noisy, 0.0
    elif step_mixes_examples(s):
        limit = mixed
    steps *= first_steps(s).calls_per_step
    for factor in (1.0, 0.1) if s.schedule is not None else (1.0,):  # a schedule uses its highest rate only briefly
        model = s.new_model()
        optimizer = s.optimizer_for(model)
        for group in optimizer.param_groups:
            group["lr"] *= factor
        left, score = _overfit_batch(s, optimizer, model, steps, size, limit, right)
        if left < limit and score >= right:
            break
    # wrong predictions at a low loss count as loss that is left
    verdict = below(left if score >= right else max(left, 1 - score), limit)
    if verdict.ok:
        return verdict
    model = s.new_model()
    adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    left, score = _overfit_batch(s, adam, model, steps // 4, size, limit, right)  # where it works, it is fast
    works = left < limit and score >= right
    cause = "learning rate or optimizer" if works else "model, loss or data: Adam at 3e-3 fails as well"
    return Verdict(FAIL, verdict.value, f"{verdict.bound}; {cause}")


@check(source="Recipe 2, verify decreasing training loss; AutoTrainer 2021, slow convergence")
def training_loss_falls(s: Setup, drop: float = 0.05) -> Verdict:
    """The training loss falls over a short run.

    The learning rate is too small or too large by orders of magnitude, gradients do not arrive, or the model is too
    small to fit labels that its inputs do not predict. The value is the fall as a share of the distance to the lowest
    loss that any outputs reach.
    """
    losses = short_run(s).losses
    if len(losses) < 20:
        return skip(f"{len(losses)} steps are too few")
    tenth = max(1, len(losses) // 10)
    first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    try:
        lowest = min(0.0, best_outputs(s).loss) if s.kind else 0.0
    except DoesNotApply:  # of outputs of several parts, or of distances, which cannot be below zero
        lowest = 0.0
    verdict = above((first - last) / max(abs(first - lowest), 1e-9), drop)
    if verdict.verdict == FAIL and not math.isnan(last) and columns_may_be_uninformative(s):
        return undecided(verdict.value, verdict.bound, NO_SIGNAL)
    return verdict


@check(source="Recipe 2, input-independent baseline")
def beats_a_blind_model(s: Setup, gain: float = 0.03, z: float = 2.5, effect: float = 0.14) -> Verdict:
    """On val the model beats the best answer that ignores the inputs: a constant, of sequences one for each place.

    The inputs do not reach the model, are zeroed, are preprocessed differently in val and in train, or statistics of
    eval mode do not fit; or inputs and labels do not belong together, which labels_fit_inputs examines. The value is
    the share of the baseline's loss that the inputs save.
    """
    share = share_saved_by_inputs(s)
    weak = columns_may_be_uninformative(s)
    return power.exceeds(share, floor=gain, effect=effect, errors=z, what="validation examples", weak=weak)


@check(source="Recipe 2, input-independent baseline; Breiman 2001, permutation importance")
def inputs_of_others_are_worse(s: Setup, z: float = 2.5, effect: float = 0.14) -> Verdict:
    """With the inputs of other examples the same model does worse on val.

    What it has learned does not come from the inputs: it answers by class frequencies, or by position in the batch. The
    value is the share of the loss with the inputs of others that an example's own inputs save.
    """
    losses, weak = losses_on_val(s), columns_may_be_uninformative(s)
    share = power.share_saved(losses.own, losses.others, s.kind == "regression")
    return power.exceeds(share, floor=0.0, effect=effect, errors=z, what="validation examples", weak=weak)


@check(source="Zhang et al. 2017, understanding deep learning requires rethinking generalization")
def labels_fit_inputs(
    s: Setup, errors: float = 3.0, gain: float = 0.03, z: float = 2.5, effect: float = 0.15
) -> Verdict:
    """Inputs predict their labels, as nearest neighbours show or the trained model on val.

    Inputs and labels were shuffled, sorted or filtered separately, or are off by one row. The value is Cohen's kappa of
    the five nearest neighbours, each example left out (of quantities the correlation, of several targets the mean); the
    model is judged by the share of the baseline's loss that it saves.
    """
    if s.kind == "sequence":
        return skip("the targets are sequences")
    signal = neighbour_agreement(s)
    bound = f"> {signal.margin(errors):.4g}, or a model that uses the inputs"
    if signal.value > signal.margin(errors):
        return Verdict(PASS, signal.value, bound)
    if rows := label_offset(s, errors, effect):
        moved = neighbour_agreement(s, rows).value
        return Verdict(FAIL, f"{signal.value:.4g}; with labels moved by {rows:+d} row {moved:.4g}", bound)
    model = power.exceeds(share_saved_by_inputs(s), floor=gain, effect=effect, errors=z, what="validation examples")
    if model.verdict == PASS:
        return Verdict(PASS, signal.value, bound)
    within = neighbour_agreement_in_val(s)
    if within.value - within.margin(2 * errors) > effect:  # the inputs do predict labels, and train has wrong ones
        return Verdict(FAIL, f"{signal.value:.4g}; within val {within.value:.4g}", bound)
    weak = columns_may_be_uninformative(s)
    near = power.exceeds(signal, floor=0.0, effect=effect, errors=errors, what="training examples", weak=weak)
    unsure = next((v for v in (near, model) if v.verdict == UNDECIDED), None)
    return undecided(signal.value, bound, unsure.needed) if unsure else Verdict(FAIL, signal.value, bound)


@check(source="Recipe 2, evaluation in eval mode; Ioffe and Szegedy 2015, batch norm at inference")
def eval_mode_knows_it_too(s: Setup, share: float = 0.75) -> Verdict:
    """What was learned in train mode holds in eval mode, on the same training examples.

    Running statistics of batch norm that hardly move (momentum 0, or a momentum in another library's sense), a dropout
    that is not scaled, a branch that runs only while training. The value is what eval mode saves of the loss over
    what train mode saves, where that is at least half of the loss. Healthy: 1 and more, since it is of the end.
    """
    run = short_run(s)
    if step_mixes_examples(s) or len(run.losses) < 20:
        return skip("the step mixes its batch, or there are too few steps")
    x, y = s.sample
    constant, lowest = best_constant(s).loss, best_outputs(s).loss
    tenth = max(1, len(run.losses) // 10)
    training = (constant - sum(run.losses[-tenth:]) / tenth) / max(constant - lowest, 1e-9)
    if not training > 0.5:
        return skip("train mode has not learned enough to compare")
    in_eval_mode = (constant - s.loss_of(s.outputs(run.model, x), y).item()) / max(constant - lowest, 1e-9)
    return above(in_eval_mode / training, share)


@check(source="PolymathicAI/the_well#68; Recipe 5, generalisation gap")
def val_follows_train(s: Setup, gap: float = 0.25, errors: float = 4.0) -> Verdict:
    """The model is about as accurate on val as on train, as far as nearest neighbours generalise.

    Val is prepared or labelled differently. A gap where neighbours generalise no better either is overfitting: a matter
    of regularisation, not a mistake. The value is the accuracy lost.
    """
    if not s.one_label_per_example:
        return skip("not one label per example")
    train, val = (s.score(s.outputs(short_run(s).model, x), y) for x, y in (s.sample, s.val_tensors))
    (_, near) = nearest_in_train(s)["train"]
    y, n_val = main(s.train_tensors[1]).long(), len(s.val_tensors[1])
    neighbours = power.share(int((y[near].mode(1).values == y).sum()), len(y))  # of a new example like those of train
    expected = Estimate(min(train, neighbours.value), neighbours.error, neighbours.n)
    lost = power.difference(expected, power.share(round(val * n_val), n_val))
    largest = expected.value - power.commonest(y)
    return power.stays_below(lost, limit=gap, largest=largest, errors=errors, what="validation examples")


@check(source="Northcutt et al. 2021, pervasive label errors", gate=False)
def labels_are_clean(s: Setup, share: float = 0.08) -> Verdict:
    """Few labels contradict their five nearest neighbours where these agree.

    Wrong labels, or classes that overlap. Examine the ranked suspects of the audit before you change a label. The value
    is the share of contradicted labels.
    """
    if not s.one_label_per_example:
        return skip("not one label per example")
    y = main(s.train_tensors[1]).long()
    votes = y[nearest_in_train(s)["train"][1]]
    # four of five: with a fifth of the labels wrong, five rarely agree
    agree = (votes == votes.mode(1).values[:, None]).sum(1) >= min(4, votes.shape[1])
    if agree.sum() < 50:
        return skip("neighbours hardly ever agree here")
    wrong = power.share(int((votes.mode(1).values != y)[agree].sum()), int(agree.sum()))
    if not neighbour_agreement(s).value > neighbour_agreement(s).margin(3.0):
        return undecided(wrong.value, f"< {share:.4g}", NO_SIGNAL)
    return power.agrees(wrong, limit=share, errors=2.0, what="examples whose neighbours agree")


@check(source="Recipe 2, visualize prediction dynamics", gate=False)
def predictions_settle(s: Setup, share: float = 0.2) -> Verdict:
    """Towards the end of a short run the loss fluctuates less than it fell.

    Fluctuation means that the learning rate is high for this batch size. The value is the standard deviation of the
    last tenth of the step losses over the fall since the start.
    """
    losses = torch.tensor(short_run(s).losses)
    if len(losses) < 40:
        return skip(f"{len(losses)} steps are too few")
    tenth = len(losses) // 10
    deviation, fall = losses[-tenth:].std(), losses[:tenth].mean() - losses[-tenth:].mean()
    verdict = below((deviation / fall.abs().clamp_min(1e-9)).item(), share)
    if verdict.verdict == FAIL and columns_may_be_uninformative(s):
        return undecided(verdict.value, verdict.bound, NO_SIGNAL)
    return verdict
