"""Claims about a training loop, judged by what has been seen of it so far. What is not known yet is skipped."""

import math
from difflib import get_close_matches
from itertools import pairwise

import torch
from torch import Tensor

from recipe.checks.verdicts import none_listed
from recipe.verdict import FAIL, PASS, Verdict, above, below, check, exactly, skip
from recipe.watching.observed import EARLY, FIRST, Observed, declared_frozen, evenly_spaced, mode_dependent
from recipe.watching.structures import fingerprints

NOT_YET = "too few steps so far"
SPELLINGS = {"learning_rate": "lr", "rate": "lr", "wd": "weight_decay", "decay": "weight_decay", "beta": "betas"}
OF_THE_FIRST_STEPS = (  # claims that the first steps decide
    "inputs_are_finite", "inputs_are_scaled", "inputs_are_not_constant", "batches_are_mixed", "batches_differ",
    "val_is_prepared_like_train", "loss_at_init", "outputs_are_not_squashed", "loss_gets_log_probabilities",
    "each_output_meets_its_target", "batch_is_independent", "outputs_depend_on_inputs", "eval_mode_is_still",
    "units_are_alive", "parameters_are_registered", "updates_are_in_proportion",
)  # fmt: skip


def _never(o: Observed, event: str, finding: str) -> Verdict:
    """Passes where the event was not seen; else shows how often, and where it was first."""
    times = o.counts[event]
    return exactly(times, 0, finding=f"{finding} {o.at(event)}" if times else "")


# ---- what is watched --------------------------------------------------------------------------------------------


@check(source="Recipe 2, set up the end-to-end training skeleton")
def the_loop_is_seen(o: Observed) -> Verdict:
    """The given model is called with gradients, and the given optimizer steps.

    Another model or optimizer was made after these, a compiled or wrapped model is called and the plain one was handed
    in, or nothing was trained. Hand in the objects that the loop itself calls.
    """
    if o.crash:
        raise RuntimeError(f"the watch itself failed, and looked no further: {o.crash}")
    if o.forwards and o.steps:
        return exactly("both", "both")
    if not o.ended:
        return skip(NOT_YET)
    seen = "the model only" if o.forwards else "the optimizer only" if o.steps else "neither"
    finding = (
        f"In the loop {seen} was seen: {o.forwards} forward passes, {o.backwards} backward passes, {o.steps} steps."
    )
    return exactly(seen, "both", finding=finding)


# ---- what enters ------------------------------------------------------------------------------------------------


@check(source="Recipe 2, visualize just before the net")
def inputs_are_finite(o: Observed) -> Verdict:
    """No input of the model is NaN or infinite.

    A division by a standard deviation of zero, a log of zero, a missing value. The value counts examples.
    """
    rows = [x.flatten(1) for x in o.inputs if x.is_floating_point()]
    return exactly(sum(int((~r.isfinite()).any(1).sum()) for r in rows), 0)


@check(source="Recipe 2, visualize just before the net; 4uiiurz1/pytorch-nested-unet#62; pkmital/pycadl#5")
def inputs_are_scaled(o: Observed, low: float = 0.01, high: float = 10.0) -> Verdict:
    """The root mean square of what enters the first layer is of order one; zeros are left out.

    Far above: pixels 0..255 were never scaled, or columns of a table not standardised. Far below: divided by 255 twice.
    """
    if o.probed is None or o.probed.scale is None or not all(x.is_floating_point() for x in o.inputs):
        return skip("the inputs are indices, or no layer that multiplies them was seen")
    verdict = above(o.probed.scale, low)
    return below(o.probed.scale, high) if verdict.ok else verdict


@check(source="Recipe 2, visualize just before the net; Islam et al. 2019, data bugs")
def inputs_are_not_constant(o: Observed, share: float = 0.005) -> Verdict:
    """Hardly any input is one constant value.

    Blank images that kept their labels, or all inputs multiplied by zero. The value is the share of such inputs.
    """
    wide = [x.flatten(1).float() for x in o.inputs if x.is_floating_point() and x[0].numel() > 3]
    if not wide:
        return skip("the inputs are indices, or have few values")
    if len(wide[0].unique()) <= 32:
        return skip("the inputs take few values, so that some may be constant by nature")
    constant = torch.cat([r.std(1) < 1e-6 * (1 + r.abs().amax(1)) for r in wide])
    return below(constant.double().mean().item(), share)


@check(source="Humbatova et al. 2020, wrong position of the data shuffle operation")
def batches_are_mixed(o: Observed, share: float = 0.6) -> Verdict:
    """A training batch has about as many classes as independent draws would give.

    The data is sorted by label and `shuffle=False`, or a sampler groups by class; intended, as for metric learning?
    Write `Declare(resampled_train=True)`. The value is the number of classes per batch over the expected one.
    """
    batches = o.targets
    if o.declare.resampled_train:
        return skip("the batches are balanced, as declared")
    if len(batches) < EARLY:
        return skip("no classes as targets, or too few batches so far")
    every = torch.cat(batches)
    shares = torch.unique(every, return_counts=True)[1].double() / len(every)
    if len(shares) < 2:
        return skip("one class so far")
    expected = sum(float((1 - (1 - shares) ** len(y)).sum()) for y in batches)
    return above(sum(len(y.unique()) for y in batches) / expected, share)


@check(source="Recipe 2, set up the end-to-end training skeleton", gate=False)
def batches_differ(o: Observed, share: float = 0.9) -> Verdict:
    """Successive steps see different batches, unless a batch is the whole training set.

    `next(iter(loader))` in the loop gives a first batch again and again, a generator is seeded anew in each step. The
    value is the share of steps whose batch is that of the step before.
    """
    first = dict(zip(reversed(o.input_steps), reversed(o.inputs), strict=True))  # the first forward pass of each step
    steps = [first[step] for step in sorted(first)]
    if len(steps) < EARLY:
        return skip(NOT_YET)
    same = sum(a.shape == b.shape and a.equal(b) for a, b in pairwise(steps))
    return below(same / (len(steps) - 1), share)


@check(source="Kaufman et al. 2012, leakage in data mining")
def val_is_not_in_train(o: Observed, share: float = 0.01) -> Verdict:
    """The examples of the validation set are not among those that were trained on.

    Copies across the split, the training set handed in as the validation set. The value is the share of validation
    examples whose inputs were seen in training; those of few values may be equal by nature.
    """
    if o.val is None or not o.inputs or o.val.shape[1:] != o.inputs[0].shape[1:]:
        return skip("no validation examples of the shape of the training inputs")
    if not o.val.is_floating_point() or len(o.val.flatten(1)[0]) < 8:
        return skip("the inputs take few values, so that some may be equal by nature")
    seen = torch.cat([f.cpu() for f in o.seen]).sort().values
    mine = fingerprints(o.val.cpu())
    near = torch.searchsorted(seen, mine).clamp(1, len(seen) - 1) if len(seen) > 1 else torch.zeros(len(mine)).long()
    distance = torch.minimum((seen[near] - mine).abs(), (seen[(near - 1).clamp_min(0)] - mine).abs())
    copies = distance <= 1e-9 * mine.abs().clamp_min(1e-9)
    distinct = len(mine.unique()) / len(mine)
    if distinct < 0.9:
        return skip("many validation examples are equal among themselves")
    return below(copies.double().mean().item(), share)


@check(source="Recipe 2, set up the end-to-end evaluation skeleton; torchvision, normalisation of pretrained models")
def val_is_prepared_like_train(o: Observed, apart: float = 0.5, ratio: float = 2.0) -> Verdict:
    """Validation inputs have the mean and the spread of training inputs.

    Normalised in one and not in the other, 0..255 against 0..1, another order of steps. The value is the difference of
    the means over the training inputs' standard deviation, or the ratio of the standard deviations where it is larger.
    """
    inputs = [x for x in o.inputs if x.is_floating_point()]
    if o.val is None or len(inputs) < EARLY or o.val.shape[1:] != inputs[0].shape[1:]:
        return skip("no validation examples of the shape of the training inputs, or too few steps so far")
    a, b = torch.cat([_some(x) for x in inputs]), _some(o.val, 200_000)
    shift = ((a.mean() - b.mean()).abs() / a.std().clamp_min(1e-12)).item()
    scale = (a.std().clamp_min(1e-12) / b.std().clamp_min(1e-12)).item()
    scale = max(scale, 1 / scale)
    verdict = below(shift, apart)
    return below(scale, ratio) if verdict.ok else verdict


# ---- the model and its loss --------------------------------------------------------------------------------------


def _some(x: Tensor, most: int = 10_000) -> Tensor:
    """Evenly spaced values, float64."""
    flat = x.reshape(-1)
    return flat[evenly_spaced(flat.numel(), most).to(flat.device)].cpu().double()


@check(source="Recipe 2, verify loss @ init; init well")
def loss_at_init(o: Observed, excess: float = 1.0, share: float = 0.5) -> Verdict:
    """The first loss of a classifier is about that of equal outputs, log C.

    Far above: the head or the weights start too large, or the inputs are not scaled. A network that starts from a
    checkpoint has less; that is not judged.
    """
    known = [g for g in o.graphs if g.value is not None and g.chance is not None and not math.isnan(g.value)]
    if not known:
        return skip("no cross-entropy was seen")
    if o.probed and o.probed.normalised:
        return skip("the head is normalised, and sets the scale of its outputs")
    value, chance = known[0].value or 0.0, known[0].chance or 0.0
    return below(value, chance + max(excess, share * chance))


@check(source="PyTorch documentation, CrossEntropyLoss and BCEWithLogitsLoss expect logits")
def outputs_are_not_squashed(o: Observed) -> Verdict:
    """A loss that expects logits gets the outputs of the last layer, without a softmax, sigmoid or ReLU in between.

    Cross-entropy applies its own softmax: a second one bounds the loss far above zero and nearly stops the gradient.
    """
    if not o.graphs:
        return skip("no loss of torch.nn.functional was seen")
    squashed = [g.squashed for g in o.graphs if g.squashed]
    name = squashed[0].removesuffix("Backward0") if squashed else "none"
    finding = (
        f"The outputs go through {name} before a loss that expects logits. {o.at('a loss was read')}"
        if squashed
        else ""
    )
    return exactly(name, "none", finding=finding)


@check(source="PyTorch documentation, NLLLoss expects log-probabilities")
def loss_gets_log_probabilities(o: Observed) -> Verdict:
    """A negative log-likelihood gets log-probabilities: a log-softmax comes before it.

    NLLLoss on raw outputs is lowest where they grow without end; use CrossEntropyLoss. The value counts such losses.
    """
    if not any("NllLoss" in g.name for g in o.graphs):
        return skip("no negative log-likelihood was seen")
    return exactly(sum(g.unnormalised for g in o.graphs), 0)


@check(source="PyTorch documentation, broadcasting semantics; pytorch/pytorch#10123")
def each_output_meets_its_target(o: Observed) -> Verdict:
    """Outputs are not broadcast against targets.

    Outputs (N, 1) against targets (N,) become N x N comparisons, whose best answer is the mean of all targets. The
    value is the number of comparisons over the number of outputs.
    """
    if not o.graphs:
        return skip("no loss of torch.nn.functional was seen")
    ratio = max(g.broadcast for g in o.graphs)
    return Verdict(PASS if ratio <= 1 else FAIL, ratio, "<= 1")


@check(source="Recipe 2, use backprop to chart dependencies; Karpathy, most common neural net mistakes, no. 6")
def batch_is_independent(o: Observed, moved: float = 1e-4) -> Verdict:
    """In eval mode an example's output depends only on that example.

    `view` where `permute` was meant, a softmax or a mean over dimension 0, batch first taken for time first. The value
    is the relative change of an output when the other examples of its batch are exchanged. Intended, as in contrastive
    learning? Write `Declare(mixes_samples=True)`.
    """
    if o.probed is None or o.probed.mixed is None:
        return skip(o.probed.reason if o.probed else NOT_YET)
    if o.declare.mixes_samples:
        return skip("examples are mixed, as declared")
    if o.time_first and not any(g.compared == o.probed.size for g in o.graphs):
        return skip("a layer takes time before the batch, and no target per row of the input was seen")
    return below(o.probed.mixed, moved)


@check(source="Recipe 2, use backprop to chart dependencies")
def outputs_depend_on_inputs(o: Observed, share: float = 0.5) -> Verdict:
    """The outputs of most examples change when their inputs change.

    A `.detach()` and a constant, an input multiplied by zero, a layer whose units are all dead. The value is the share
    of examples whose output stays the same.
    """
    if o.probed is None or o.probed.ignored is None:
        return skip(o.probed.reason if o.probed else NOT_YET)
    return below(o.probed.ignored, share)


@check(source="PyTorch documentation, torch.nn.functional.dropout: training=True is the default", gate=False)
def eval_mode_is_still(o: Observed) -> Verdict:
    """In eval mode the same batch gives the same outputs twice.

    `F.dropout(x)` without `training=self.training`. Noise inside forward may be intended, as in a variational network.
    """
    if o.probed is None or o.probed.restless is None:
        return skip(o.probed.reason if o.probed else NOT_YET)
    return exactly("other outputs" if o.probed.restless else "the same", "the same")


@check(source="Lu et al. 2020, Dying ReLU; Glorot and Bengio 2010, saturation")
def units_are_alive(o: Observed, share: float = 0.9) -> Verdict:
    """No layer is dead: some of its units react to the first batch.

    A bias far below zero, weights or inputs far too large. The value is the share of dead or saturated units in the
    worst layer; of a deep network half of a layer may be silent by chance.
    """
    if o.probed is None or o.probed.dead is None:
        return skip("no activation that could die")
    return below(o.probed.dead, share)


@check(source="maruya24/pytorch_robotics_transformer#3")
def parameters_are_registered(o: Observed) -> Verdict:
    """Every tensor that gets a gradient from the loss is a parameter of the model, or in the optimizer.

    Layers in a plain list or dict instead of ModuleList, a tensor that should be a Parameter.
    """
    if not o.backwards:
        return skip(NOT_YET)
    return none_listed([f"a tensor {shape}" for shape in o.hidden], len(o.start) + len(o.hidden))


# ---- the step ------------------------------------------------------------------------------------------------------


@check(source="facebookresearch/mmf#104; pytorch/pytorch#14467; microsoft/nni#4521")
def optimizer_holds_the_model(o: Observed) -> Verdict:
    """The optimizer holds every trainable parameter of this model once.

    It was built before a layer was replaced or the model was copied, or it got only a part of the parameters. Hand in
    several optimizers of one model as a list; what none of them is to train, as `Declare(frozen=("body",))`.
    """
    held = [id(p) for group in o.groups for p in group["params"]]
    named = dict(o.model.named_parameters())
    missing = [n for n, p in named.items() if p.requires_grad and id(p) not in held and not declared_frozen(o, n)]
    twice = ["a parameter held twice"] * (len(held) - len(set(held)))
    gone = set(held) - {id(p) for p in named.values()} if missing else set()  # else another module is trained, too
    return none_listed(missing + twice + ["a tensor that is not the model's"] * len(gone), len(named))


@check(source="PyTorch documentation, torch.optim: per-parameter options")
def settings_are_read(o: Observed) -> Verdict:
    """No setting of a parameter group is a misspelling of one that the optimizer has.

    A misspelt key, as `learning_rate` for `lr`, is kept and ignored.
    """
    wrong = []
    for optimizer in o.optimizers:
        for key in {key for group in optimizer.param_groups for key in group} - {*optimizer.defaults, "params"}:
            meant = SPELLINGS.get(key) or next(iter(get_close_matches(key, optimizer.defaults, 1, cutoff=0.85)), "")
            wrong += [f"{key} for {meant}"] if meant in optimizer.defaults else []
    return none_listed(sorted(wrong), sum(len(optimizer.defaults) for optimizer in o.optimizers))


@check(source="Karpathy, most common neural net mistakes, no. 3; wenet-e2e/wekws#72")
def gradients_are_fresh(o: Observed) -> Verdict:
    """After a step of the optimizer, its gradients are cleared before the next backward pass.

    `zero_grad` is forgotten, or called on another optimizer or model. The value counts backward passes, of those looked
    at, that added to the gradients of an earlier step.
    """
    if o.steps < 2 and not o.counts["gradients were left"]:
        return skip(NOT_YET)
    return _never(o, "gradients were left", "A backward pass adds to the gradients of the step before.")


@check(source="Stack Overflow, zero_grad between backward and step")
def steps_have_gradients(o: Observed) -> Verdict:
    """When the optimizer steps, the parameters that it holds have gradients.

    `zero_grad` between backward and step, backward on a detached loss, parameters of another model. The value counts
    steps, of those looked at, without any gradient.
    """
    if not o.steps:
        return skip(NOT_YET)
    return _never(o, "a step without a gradient", "The optimizer stepped without a gradient.")


@check(source="sacmehta/EdgeNets#14; huggingface/accelerate#1299; huggingface/torchMoji#21")
def every_parameter_moves(o: Observed) -> Verdict:
    """After the first steps every trainable parameter had a gradient and has moved; what is declared frozen has not.

    A `.detach()`, a dead layer, a part that the optimizer does not hold, a layer that forward never calls.
    """
    if o.looks < (EARLY if o.ended else FIRST) or not any(o.rates):
        return skip(NOT_YET)
    wrong = []
    for name, p in o.model.named_parameters():
        if declared_frozen(o, name):
            wrong += [f"{name} (declared frozen)"] if name in o.moved else []
        elif o.trained[name] < EARLY:  # frozen, or unfrozen a moment ago
            continue
        elif p.ndim > 1:  # in half precision a step may be less than the next number
            wrong += [name] if name not in o.got_gradient or (name not in o.moved and p.element_size() > 2) else []
        elif name not in o.got_gradient:
            layer = name.rpartition(".")[0]  # whose weight may have a gradient where its bias cancels out
            wrong += [] if any(n.rpartition(".")[0] == layer for n in o.got_gradient) else [name]
    return none_listed(wrong, len(o.start))


@check(source="Fine-tuning: freezing a part is a choice", gate=False)
def frozen_is_intended(o: Observed) -> Verdict:
    """Parameters with `requires_grad=False` are declared: `Declare(frozen=("body",))`.

    Left from an earlier experiment, or set on the wrong part.
    """
    named = dict(o.model.named_parameters())
    return none_listed([n for n, p in named.items() if not p.requires_grad and not declared_frozen(o, n)], len(named))


@check(source="Ioffe and Szegedy 2015; PyTorch forum, freezing batch norm", gate=False)
def frozen_statistics_stay(o: Observed) -> Verdict:
    """Batch norm of a frozen part does not go on averaging.

    Its weights are frozen, but in train mode its running statistics still follow the batches: call `.eval()` on it.
    """
    if not o.statistics:
        return skip("no batch norm in a frozen part")
    return _never(o, "frozen statistics moved", "Running statistics of a frozen part have changed.")


@check(source="AutoTrainer 2021; DeepFD 2022; Karpathy, update-to-weight ratio near 1e-3")
def updates_are_in_proportion(o: Observed, low: float = 3e-6, high: float = 0.3) -> Verdict:
    """A step changes a weight matrix by a small fraction of its norm.

    The learning rate is too high or too low by orders of magnitude. The value is the median over the first steps of the
    median over matrices of |update| / |weights|. Healthy: 0.001 to 0.1.
    """
    if len(o.ratios) < (EARLY if o.ended else FIRST):
        return skip(NOT_YET)
    early = sorted(o.ratios[:20])
    value = early[len(early) // 2]
    verdict = above(max(early), low)
    return below(value, high) if verdict.ok else verdict


@check(source="AutoTrainer 2021, exploding gradient; Recipe 3, the learning rate")
def loss_does_not_explode(o: Observed, factor: float = 10.0) -> Verdict:
    """In the first steps the loss does not grow to a multiple of the first one.

    The learning rate is far too high, inputs or targets are not scaled. The value is the largest of the first losses
    over the first one.
    """
    early = o.losses[:FIRST]
    if len(early) < EARLY or not early[0] > 0:
        return skip("too few losses so far, or the first one is not positive")
    return below(max(early) / early[0], factor)


@check(source="Recipe 2, be careful of NaN; AutoTrainer 2021, exploding gradient")
def losses_are_finite(o: Observed) -> Verdict:
    """The loss and the gradients stay finite.

    A learning rate far too high, a log or a division of zero, half precision without scaling. The value counts.
    """
    bad = [event for event in ("the loss is not finite", "a gradient is not finite") if o.counts[event]]
    finding = f"NaN or infinity. {o.at(bad[0])}" if bad else ""
    return exactly(sum(o.counts[event] for event in bad), 0, finding=finding)


@check(source="ivadomed/ivadomed#55; automl/Auto-PyTorch#210; leftthomas/SRGAN#94")
def learning_rate_lasts(o: Observed, low: float = 0.01, share: float = 0.3) -> Verdict:
    """The learning rate is not near zero for a large part of the training so far.

    A scheduler made for epochs is stepped per batch, its length is in the wrong unit, warm-up multiplies a zero. The
    value is the share of steps below one per cent of the highest rate.
    """
    if o.steps < 40:
        return skip(NOT_YET)
    highest = max(o.rates)
    if not highest:
        return Verdict(FAIL, "the rate is 0", "above 0")
    later = o.rates[o.rates.index(highest) :]  # a rise from zero is a warm-up
    return below(sum(rate < 0.99 * low * highest for rate in later) / len(o.rates), share)


# ---- modes and evaluation -----------------------------------------------------------------------------------------


@check(source="Karpathy, most common neural net mistakes, no. 2; Lightning-AI/pytorch-lightning#20573")
def training_is_in_train_mode(o: Observed) -> Verdict:
    """While training, dropout and batch norm are in train mode, after an evaluation too.

    `model.eval()` in the evaluation and no `model.train()` after it. A part that was put into eval mode alone, as a
    frozen batch norm, is intended. The value counts backward passes after a forward pass of a model in eval mode.
    """
    layers = [name for name, _ in mode_dependent(o.model) if not declared_frozen(o, name)]
    if not layers:
        return skip("no layer behaves differently in eval mode")
    return _never(o, "training in eval mode", "A step was trained with dropout or batch norm in eval mode.")


@check(source="Karpathy, most common neural net mistakes, no. 2")
def evaluation_is_in_eval_mode(o: Observed) -> Verdict:
    """Series of forward passes without gradients, after the first step, have dropout and batch norm in eval mode.

    `model.eval()` is forgotten in the evaluation. Intended, as with Monte Carlo dropout? Waive it with that reason. A
    few passes between two steps, as for pseudo-labels, do not count, unless they read the whole of `val`.
    """
    if not o.evaluated and not o.counts["evaluation in train mode"]:
        return skip("no evaluation was seen")
    return _never(o, "evaluation in train mode", "An evaluation ran with dropout or batch norm in train mode.")


@check(source="Recipe 2, set up the end-to-end evaluation skeleton")
def evaluation_leaves_the_model_alone(o: Observed) -> Verdict:
    """No parameter and no buffer changes from pass to pass of an evaluation.

    Running statistics follow the validation data. Weights that are exchanged once, as for their moving average, are
    not meant.
    """
    if not o.evaluated:
        return skip("no evaluation was seen")
    return _never(o, "evaluation changed the model", "An evaluation changed parameters or buffers.")


@check(source="Recipe 2, set up the end-to-end evaluation skeleton", gate=False)
def every_evaluation_reads_all_of_val(o: Observed) -> Verdict:
    """Each evaluation passes at least as many examples as the validation set has.

    A `break` left from debugging, only the first batches. The value is the smallest number of an evaluation.
    """
    if not o.evaluated or o.val_size is None:
        return skip("no evaluation was seen, or `val` was not handed in")
    least = min(o.evaluated)
    return Verdict(PASS if least >= o.val_size else FAIL, least, f">= {o.val_size}")


@check(source="Recipe 2, verify decreasing training loss", gate=False)
def loss_falls(o: Observed, errors: float = 2.0) -> Verdict:
    """The training loss falls: its mean over the last third of the steps is below that over the first third.

    The value is the difference in standard errors of the two means.
    """
    finite = torch.tensor([v for v in o.losses if v == v and abs(v) != float("inf")], dtype=torch.float64)
    if len(finite) < 60:
        return skip(NOT_YET)
    first, last = finite[: len(finite) // 3], finite[-(len(finite) // 3) :]
    return above(_difference(first, last), errors)


def _difference(first: Tensor, last: Tensor) -> float:
    error = (first.var() / len(first) + last.var() / len(last)).sqrt().clamp_min(1e-12)
    return ((first.mean() - last.mean()) / error).item()
