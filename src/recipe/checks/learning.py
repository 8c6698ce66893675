"""Short trainings that any healthy set-up must pass."""

import torch

from recipe.checks import loss
from recipe.checks.gradient import mixes
from recipe.checks.leakage import neighbours
from recipe.checks.measurements.short_run import seeing
from recipe.checks.measurements.signal import (
    UNTOLD,
    columns_may_say_nothing,
    losses_on_val,
    neighbours_agree,
    neighbours_agree_in_val,
    seen_share,
    shifted_rows,
)
from recipe.checks.setup import Setup
from recipe.checks.training_step import first_steps
from recipe.metrics import power
from recipe.metrics.power import Estimate
from recipe.rng import seeded
from recipe.verdict import FAIL, PASS, UNDECIDED, Verdict, above, below, check, skip, undecided


def _by_heart(s: Setup, optimizer, model, steps: int, size: int, limit: float) -> tuple[float, float]:
    """(share of the loss left, score) after training on one batch alone."""
    x, y = s.batch(size)
    floor = loss.lowest(s, y)
    losses = []
    with seeded(s.seed, "train"):
        while len(losses) < steps or (_falls(losses, floor) and len(losses) < 4 * steps):
            losses.append(float(s.train_step(model, optimizer, x, y, s.loss)))
            if len(losses) > 20 and max(losses[-20:]) < floor + 0.3 * limit * (losses[0] - floor):
                break
    first, recent = losses[0], losses[-20:]
    outputs = s.outputs(model, x)
    still = s.loss(outputs, y).item()
    final = min(sorted(recent)[len(recent) // 2], still if still == still else float("inf"))
    return (final - floor) / max(first - floor, 1e-9), s.agreement(outputs, y)


def _falls(losses: list[float], floor: float) -> bool:
    """Some of what was left 200 steps ago is gone: it is slow, not stuck."""
    then, now = (sorted(part)[len(part) // 2] for part in (losses[-220:-200], losses[-20:]))
    return now - floor < 0.97 * (then - floor)


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
    """A few examples can be learned by heart, down to the lowest loss that any outputs could reach.

    Stuck near the start: the learning rate is far off, gradients do not arrive, or equal inputs have different labels,
    which `declare: {irreducible_noise: true}` in params.yaml allows for. Stuck at a floor above zero: softmax is
    applied twice. Learned, but predictions are wrong: labels are shifted. The value is the share of the loss that is
    left; it says whether a plain Adam would have done it.
    """
    if loss.density(s):
        return skip("several outputs per target, as of a density: no lowest loss on single examples")
    unsure = s.kind == "sequence" or s.declare.irreducible_noise  # the same start may go on in several ways
    limit, right = (noisy, 0.0) if unsure else (mixed, right) if mixes(s) else (limit, right)
    steps *= first_steps(s).every
    rates = (1.0, 0.1) if s.schedule is not None else (1.0,)  # the highest rate of a schedule is not meant to last
    tried = []
    for factor in rates:
        model = s.fresh()
        optimizer = s.optimizer_for(model)
        for group in optimizer.param_groups:
            group["lr"] *= factor
        tried.append(_by_heart(s, optimizer, model, steps, size, limit))
        if tried[-1][0] < limit and tried[-1][1] >= right:
            break
    left, score = tried[-1]
    # wrong answers at a low loss count as what is left, too
    verdict = below(left if score >= right else max(left, 1 - score), limit)
    if verdict.ok:
        return verdict
    model = s.fresh()
    adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    left, score = _by_heart(s, adam, model, steps, size, limit)
    cause = "learning rate or optimizer" if left < limit and score >= right else "wiring: Adam at 3e-3 fails as well"
    return Verdict(FAIL, verdict.value, f"{verdict.bound}; {cause}")


@check(source="Recipe 2, verify decreasing training loss; AutoTrainer 2021, slow convergence")
def training_loss_falls(s: Setup, drop: float = 0.05) -> Verdict:
    """Over a short run the training loss falls, measured against the lowest that it could reach.

    The learning rate is too small or too large by orders of magnitude, gradients do not arrive, or the model is too
    small to fit labels that its inputs do not tell.
    """
    losses = seeing(s).losses
    if len(losses) < 20:
        return skip(f"{len(losses)} steps are too few to tell")
    tenth = max(1, len(losses) // 10)
    first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    verdict = above((first - last) / max(abs(first - min(0.0, loss.best(s).lowest)), 1e-9), drop)
    if verdict.verdict == FAIL and last == last and columns_may_say_nothing(s):
        return undecided(verdict.value, verdict.bound, UNTOLD)
    return verdict


@check(source="Recipe 2, input-independent baseline")
def beats_a_blind_model(s: Setup, gain: float = 0.03, z: float = 2.5, effect: float = 0.14) -> Verdict:
    """With its inputs the model does better on val than the same model on zeros, and than the best constant answer.

    The inputs do not reach the model, are zeroed, are preprocessed otherwise in val than in train, or statistics of
    eval mode do not fit; or inputs and labels do not belong together, of which labels_fit_inputs says more. The value
    is the share of the blind loss that seeing removes.
    """
    return power.exceeds(
        seen_share(s), floor=gain, effect=effect, errors=z, what="validation examples", weak=columns_may_say_nothing(s)
    )


@check(source="Recipe 2, input-independent baseline; Breiman 2001, permutation importance")
def inputs_of_others_are_worse(s: Setup, z: float = 2.5, effect: float = 0.14) -> Verdict:
    """With the inputs of other examples the same model does worse on val.

    What it has learned is not in the inputs: it answers by frequencies, or by position in the batch. The value is the
    share of the loss with the inputs of others that an example's own inputs save.
    """
    found, weak = losses_on_val(s), columns_may_say_nothing(s)
    share = power.share_saved(found["seeing"], found["others"], s.kind == "regression")
    return power.exceeds(share, floor=0.0, effect=effect, errors=z, what="validation examples", weak=weak)


@check(source="Zhang et al. 2017, understanding deep learning requires rethinking generalization")
def labels_fit_inputs(
    s: Setup, errors: float = 3.0, gain: float = 0.03, z: float = 2.5, effect: float = 0.15
) -> Verdict:
    """Inputs tell something of their labels: to the nearest neighbours, or to the trained model on val.

    Inputs and labels were shuffled, sorted or filtered apart, or are off by one row. The value is Cohen's kappa of
    the five nearest neighbours, each left out (for regression the correlation); the model is judged by the share of
    the blind loss that it saves.
    """
    if s.kind == "sequence" or s.seen[1].ndim > 1:
        return skip("not one target per example")
    signal = neighbours_agree(s)
    bound = f"> {signal.margin(errors):.4g}, or a model that sees"
    if signal.value > signal.margin(errors):
        return Verdict(PASS, signal.value, bound)
    if rows := shifted_rows(s, errors, effect):
        moved = neighbours_agree(s, rows).value
        return Verdict(FAIL, f"{signal.value:.4g}; with labels moved by {rows:+d} row {moved:.4g}", bound)
    seen = power.exceeds(seen_share(s), floor=gain, effect=effect, errors=z, what="validation examples")
    if seen.verdict == PASS:
        return Verdict(PASS, signal.value, bound)
    within = neighbours_agree_in_val(s)
    if within.value - within.margin(2 * errors) > effect:  # so the inputs do tell, and train has other labels
        return Verdict(FAIL, f"{signal.value:.4g}; within val {within.value:.4g}", bound)
    weak = columns_may_say_nothing(s)
    near = power.exceeds(signal, floor=0.0, effect=effect, errors=errors, what="training examples", weak=weak)
    unsure = next((v for v in (near, seen) if v.verdict == UNDECIDED), None)
    return undecided(signal.value, bound, unsure.needed) if unsure else Verdict(FAIL, signal.value, bound)


@check(source="Recipe 2, evaluation in eval mode; Ioffe and Szegedy 2015, batch norm at inference")
def eval_mode_knows_it_too(s: Setup, share: float = 0.1) -> Verdict:
    """What was learned in train mode is there in eval mode, on the same training examples.

    Running statistics of batch norm that hardly move (momentum 0, or a momentum in another library's sense), a dropout
    that is not scaled, a branch that runs only while training. The value is the share of the loss that eval mode saves,
    where train mode saves at least half.
    """
    run = seeing(s)
    if mixes(s) or len(run.losses) < 20:
        return skip("the step mixes its batch, or there are too few steps")
    x, y = s.some
    known, floor = loss.constant(s), loss.best(s).lowest
    tenth = max(1, len(run.losses) // 10)
    training = (known - sum(run.losses[-tenth:]) / tenth) / max(known - floor, 1e-9)
    if not training > 0.5:
        return skip("train mode has not learned enough to compare")
    return above((known - s.loss(s.outputs(run.model, x), y).item()) / max(known - floor, 1e-9), share)


@check(source="PolymathicAI/the_well#68; Recipe 5, generalisation gap")
def val_follows_train(s: Setup, gap: float = 0.25, errors: float = 4.0) -> Verdict:
    """The model's answers on val are about as good as on train, as far as nearest neighbours generalise too.

    Val is prepared otherwise than train, or labelled otherwise. A gap where neighbours generalise no better either is
    overfitting: a matter of regularisation, no mistake. The value is the accuracy lost.
    """
    if s.kind not in ("classification", "binary") or s.seen[1].ndim > 1:
        return skip("not one label per example")
    seen, unseen = (s.score(s.outputs(seeing(s).model, x), y) for x, y in (s.some, s.unseen))
    (_, near) = neighbours(s)["train"]
    y = s.seen[1].long()
    alike = power.share(int((y[near].mode(1).values == y).sum()), len(y))  # of a new example like those of train
    expected = Estimate(min(seen, alike.value), alike.error, alike.n)
    lost = power.difference(expected, power.share(round(unseen * len(s.unseen[1])), len(s.unseen[1])))
    largest = expected.value - power.commonest(y)
    return power.stays_below(lost, limit=gap, largest=largest, errors=errors, what="validation examples")


@check(source="Northcutt et al. 2021, pervasive label errors", gate=False)
def labels_are_clean(s: Setup, share: float = 0.08) -> Verdict:
    """Few labels contradict all five of their nearest neighbours where these agree.

    Wrong labels, or classes that overlap. Look at the audit's ranked suspects: it is a person who decides.
    """
    if s.kind not in ("classification", "binary") or s.seen[1].ndim > 1:
        return skip("not one label per example")
    y = s.seen[1].long()
    votes = y[neighbours(s)["train"][1]]
    # four of five: with a fifth of the labels wrong, five that agree are rare
    agreed = (votes == votes.mode(1).values[:, None]).sum(1) >= min(4, votes.shape[1])
    if agreed.sum() < 50:
        return skip("neighbours hardly ever agree here")
    wrong = power.share(int((votes.mode(1).values != y)[agreed].sum()), int(agreed.sum()))
    if not neighbours_agree(s).value > neighbours_agree(s).margin(3.0):
        return undecided(wrong.value, f"< {share:.4g}", UNTOLD)
    return power.agrees(wrong, limit=share, errors=2.0, what="examples whose neighbours agree")


@check(source="Recipe 2, visualize prediction dynamics", gate=False)
def predictions_settle(s: Setup, share: float = 0.2) -> Verdict:
    """Towards the end of a short run the loss wobbles less than it fell.

    Jitter says that the learning rate is high for this batch size. The value is the spread of the last tenth of the
    step losses over the fall since the start.
    """
    losses = torch.tensor(seeing(s).losses)
    if len(losses) < 40:
        return skip(f"{len(losses)} steps are too few to tell")
    tenth = len(losses) // 10
    verdict = below(
        (losses[-tenth:].std() / (losses[:tenth].mean() - losses[-tenth:].mean()).abs().clamp_min(1e-9)).item(), share
    )
    if verdict.verdict == FAIL and columns_may_say_nothing(s):
        return undecided(verdict.value, verdict.bound, UNTOLD)
    return verdict
