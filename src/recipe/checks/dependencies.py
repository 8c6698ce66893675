"""What depends on what: outputs on examples, pixels and time, by backprop and by exchange; layers by the graph."""

from typing import Any

import torch
from torch import Tensor, nn

from recipe.checks.copies import copied
from recipe.checks.measurements.activations import mixes_by_batch_norm
from recipe.checks.measurements.batch_capture import has_numeric_inputs
from recipe.checks.parts import Rows, main, together, with_gradients, with_main
from recipe.checks.setup import Setup
from recipe.checks.verdicts import none_listed
from recipe.rng import generator, key, seeded
from recipe.verdict import FAIL, Verdict, below, check, exactly, skip

# ---- the batch -----------------------------------------------------------------------------------------------------


def _input_gradients(s: Setup, model: nn.Module, size: int = 8) -> tuple[Tensor, Tensor]:
    """Per example, the absolute gradient of its outputs with respect to the inputs of the others, and to its own."""
    x, parts = with_gradients(s.batch(size)[0])
    out = together(s.forward(model, x))
    if not out.requires_grad:
        return torch.zeros(len(x)), torch.zeros(len(x))
    # random weights: a plain sum over a softmax is 1 whatever the input
    weights = torch.randn(out.shape[1:], generator=torch.Generator().manual_seed(s.seed)).to(out)
    others, own = [], []
    for i in range(len(x)):
        gradients = torch.autograd.grad((out[i] * weights).sum(), parts, retain_graph=True, allow_unused=True)
        pairs = zip(parts, gradients, strict=True)
        sizes = [(torch.zeros_like(t) if g is None else g).abs().reshape(len(x), -1).sum(1) for t, g in pairs]
        size_of = torch.stack(sizes).sum(0)
        own.append(size_of[i])
        others.append(size_of.sum() - size_of[i])
    return torch.stack(others), torch.stack(own)


def _change_by_exchange(s: Setup, model: nn.Module, size: int = 8) -> Tensor:
    """The largest relative change of an output when all other examples of its batch are exchanged."""
    x = s.batch(2 * size)[0]
    one, rest = x[:size], x[size:]
    changes = []
    for i in (0, len(one) - 1):
        # the others of the first half, which stays in its place, are those of the second half
        index = torch.arange(len(one), 2 * len(one)) if len(rest) >= len(one) else torch.arange(len(one)).flip(0)
        index[i] = i
        exchanged = x[index.to(x.device)]
        with torch.no_grad():
            before, after = (_forward(s, model, part)[i] for part in (one, exchanged))
        changes.append((before - after).abs().max() / before.abs().max().clamp_min(1e-6))
    return torch.stack(changes).max()


def _forward(s: Setup, model: nn.Module, x: Rows) -> Tensor:
    """A forward pass whose dropout is the same at each call."""
    model = copied(model)  # and whose buffers are too: spectral norm continues its power iteration
    with seeded(s.seed, "again"):
        return together(s.forward(model, x))


@check(source="Recipe 2, use backprop to chart dependencies; Karpathy, most common neural net mistakes, no. 6")
def batch_is_independent(s: Setup, share: float = 1e-6, moved: float = 1e-4) -> Verdict:
    """In eval mode an example's output depends only on that example.

    `view` or `reshape` where `permute` or `transpose` was meant, a softmax or a mean over dimension 0, batch first
    taken for time first, a norm over the batch that is not off in eval mode. The value is the share of an output's
    gradient that goes to other examples, or its relative change when they are exchanged.
    """
    change = _change_by_exchange(s, s.perturbed_model).item()
    if not has_numeric_inputs(s) or not change <= moved:
        return below(change, moved)
    others, own = _input_gradients(s, s.perturbed_model)
    return below((others / (others + own).clamp_min(1e-30)).max().item(), share)


@check(source="Recipe 2, use backprop to chart dependencies")
def batch_is_independent_in_training(s: Setup, moved: float = 1e-4) -> Verdict:
    """In train mode too, an example's output depends only on that example, unless the model has batch norm.

    A centring, softmax or attention over dimension 0 that is active while training. Intended, as in a contrastive
    model? Write `declare: {mixes_samples: true}` in params.yaml. The value is the relative change of an output when the
    other examples are exchanged.
    """
    if s.declare.mixes_samples:
        return skip("examples are mixed, as declared")
    if mixes_by_batch_norm(s):
        return skip("batch norm mixes a training batch on purpose")
    return below(_change_by_exchange(s, copied(s.perturbed_model).train()).item(), moved)


# ---- the inputs ----------------------------------------------------------------------------------------------------


@check(source="Recipe 2, use backprop to chart dependencies; huggingface/torchMoji#21")
def outputs_depend_on_inputs(s: Setup, share: float = 0.5) -> Verdict:
    """The outputs of most examples change when their inputs change.

    A `.detach()` or `.data` between input and output, a layer whose units are all dead, an input that is overwritten or
    multiplied by zero. The value is the share of examples without a gradient or a change: of a layer of four units, all
    are off for some examples of a healthy network.
    """
    if has_numeric_inputs(s):
        own = _input_gradients(s, s.perturbed_model, 32)[1]
        return below((own == 0).double().mean().item(), share)
    x = s.batch(32)[0]
    other = with_main(x, _other_tokens(s, main(x)))
    with torch.no_grad():
        change = (_outputs(s, x) - _outputs(s, other)).reshape(len(x), -1).abs().amax(1)
    return below((change == 0).double().mean().item(), share)


def _outputs(s: Setup, x: Rows) -> Tensor:
    """Of the perturbed model."""
    return together(s.forward(s.perturbed_model, x))


def _other_tokens(s: Setup, x: Tensor) -> Tensor:
    """Each position gets a random token from the same position of the data."""
    values = main(s.train_tensors[0]).flatten(1)
    pick = torch.randint(len(values), x.flatten(1).shape, generator=generator(s.seed, "tokens")).to(x.device)
    return values.gather(0, pick).reshape(x.shape)


@check(source="Recipe 2, use backprop to chart dependencies")
def every_input_is_used(s: Setup, share: float = 0.5) -> Verdict:
    """The outputs depend on every channel and on most of what varies in the inputs.

    A slice that is off (`x[:, :1]` of three channels, half of the columns), an inverted mask, a crop or stride that
    leaves most of the image out, a recurrent net of which only the first step is read. The value is the share of
    varying inputs without any effect.
    """
    inputs = s.sample[0][:64]
    if not has_numeric_inputs(s):
        return below(_unused_positions(s, inputs), share)
    inputs, parts = with_gradients(inputs)
    out = together(s.forward(s.perturbed_model, inputs))
    if not out.requires_grad:
        return below(1.0, share)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(s.seed)).to(out)
    gradients = torch.autograd.grad((out * weights).sum(), parts, allow_unused=True)
    verdicts = [_part_is_used(x, g, share) for x, g in zip(parts, gradients, strict=True)]
    return max(verdicts, key=lambda v: (not v.ok, v.value if isinstance(v.value, float) else 1.0))


def _part_is_used(x: Tensor, g: Tensor | None, share: float) -> Verdict:
    """x: one tensor of the inputs; g: the gradient of outputs with respect to it."""
    used = (torch.zeros_like(x) if g is None else g).abs().amax(0) > 0
    varies = x.detach().std(0) > 0
    if x.ndim == 4 and 1 < x.shape[1] <= 4:
        unused = [c for c in range(x.shape[1]) if varies[c].any() and not (used & varies)[c].any()]
        if unused:
            return Verdict(FAIL, f"channel {unused[0]} of {x.shape[1]} has no effect", "every channel has")
    return below((~used & varies).sum().item() / max(1, int(varies.sum())), share)


def _unused_positions(s: Setup, inputs: Rows) -> float:
    x = main(inputs)
    other, rows = _other_tokens(s, x), x.flatten(1)
    positions = [p for p in range(rows.shape[1]) if (rows[:, p] != other.flatten(1)[:, p]).any()]
    positions = positions[:: max(1, len(positions) // 32)]
    unused = 0
    with torch.no_grad():
        before = _outputs(s, inputs)
        for p in positions:
            changed = rows.clone()
            changed[:, p] = other.flatten(1)[:, p]
            unused += bool((_outputs(s, with_main(inputs, changed.reshape(x.shape))) == before).all())
    return unused / max(1, len(positions))


@check(source="Recipe 2, use backprop to chart dependencies; Vaswani et al. 2017, section 3.2.3, masking")
def the_future_is_hidden(s: Setup, moved: float = 1e-4) -> Verdict:
    """Outputs at time t do not depend on inputs after t, where it is declared causal or predicts the next input.

    The attention mask is missing, transposed or off by one, a convolution pads on both sides, a recurrent net runs in
    both directions, or time and batch are exchanged. `declare: {causal: true}` in params.yaml requires it of any
    sequence. The value is the relative change of an output when later inputs are exchanged.
    """
    inputs, y = s.batch(8)
    x, y = main(inputs), main(y)
    if s.kind != "sequence" or x.ndim < 2 or x.shape[1] != y.shape[1] or y.shape[1] < 2:
        return skip("no outputs over time")
    shifted = x.shape == y.shape and (x[:, 1:] == y[:, :-1]).float().mean() > 0.99
    predicts_next = shifted or s.shifts_targets
    if not (s.declare.causal or predicts_next):
        return skip("not declared causal, and the targets are not the next inputs")
    worst, length = 0.0, x.shape[1]
    with torch.no_grad():
        before = _outputs(s, inputs)
        for t in sorted({0, length // 4, length // 2, length - 2}):
            changed = x.clone()
            changed[:, t + 1 :] = (x.roll(1, 0) if has_numeric_inputs(s) else _other_tokens(s, x))[:, t + 1 :]
            difference = (_outputs(s, with_main(inputs, changed)) - before)[:, : t + 1].abs().max()
            worst = max(worst, (difference / before.abs().max().clamp_min(1e-6)).item())
    return below(worst, moved)


# ---- the layers ----------------------------------------------------------------------------------------------------


@check(source="maruya24/pytorch_robotics_transformer#3")
def parameters_are_registered(s: Setup) -> Verdict:
    """Every tensor that gets a gradient from the loss is among model.parameters().

    Layers kept in a plain list or dict instead of ModuleList, a tensor that should be a Parameter: the optimizer does
    not get them, checkpoints do not hold them, `.to(device)` leaves them behind.
    """
    model = s.new_model()
    held = {id(p) for g in s.optimizer_for(model).param_groups for p in g["params"]}
    registered = {id(p) for p in model.parameters()} | held
    registered |= {id(p) for p in s.loss.parameters()} if isinstance(s.loss, nn.Module) else set()
    x, y = s.batch(8)
    with torch.enable_grad(), seeded(s.seed, "graph"):
        node: Any = s.loss_of(s.forward(model, x), y).grad_fn
    hidden, stack, done = [], [node], set()
    while stack:
        node = stack.pop()
        if node is None or node in done:
            continue
        done.add(node)
        if hasattr(node, "variable") and id(node.variable) not in registered:
            hidden.append(f"a tensor {tuple(node.variable.shape)}")
        stack += [n for n, _ in node.next_functions]
    return none_listed(sorted(hidden), len(registered) + len(hidden))


@check(source="Python's list multiplication: [layer] * 3 is one layer three times")
def layers_are_their_own(s: Setup) -> Verdict:
    """Each layer with weights has one name, and each batch norm is used once per forward pass.

    `[layer] * n` or a default argument makes n names for one layer. A batch norm in two places mixes the statistics of
    both, and eval mode then fits neither. Intended? Write `declare: {shared_modules: true}` in params.yaml.
    """
    if s.declare.shared_modules:
        return skip("layers are shared, as declared")
    model = s.new_model()
    names: dict[nn.Module, list[str]] = {}
    calls: dict[nn.Module, int] = {}
    hooks = []
    for name, module in model.named_modules(remove_duplicate=False):
        if next(module.parameters(recurse=False), None) is not None or list(module.buffers(recurse=False)):
            names.setdefault(module, []).append(name)
    for module in names:
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
            hooks.append(module.register_forward_pre_hook(lambda m, _: calls.update({m: calls.get(m, 0) + 1})))
    with torch.no_grad(), seeded(s.seed, "graph"):
        s.forward(model, s.batch(8)[0])
    for hook in hooks:
        hook.remove()
    shared = [" = ".join(known[:3]) for m, known in names.items() if len(known) > 1 or calls.get(m, 0) > 1]
    return none_listed(shared, len(names))


@check(source="PyTorch documentation, torch.nn.functional.dropout: training=True is the default")
def eval_mode_is_still(s: Setup) -> Verdict:
    """In eval mode the same input gives the same output twice.

    `F.dropout(x)` without `training=self.training`, a random crop or noise inside forward, a buffer that every pass
    changes. The value counts examples whose output changes.
    """
    x = s.batch(8)[0]
    model = copied(s.perturbed_model)
    with torch.no_grad():
        with seeded(key(s.seed, 1)):
            one = together(s.forward(model, x))
        with seeded(key(s.seed, 2)):
            other = together(s.forward(model, x))
    return exactly(int((one != other).reshape(len(x), -1).any(1).sum()), 0)


@check(source="Srivastava et al. 2014, dropout comes before a layer, not after the last")
def outputs_are_not_dropped(s: Setup, share: float = 0.01) -> Verdict:
    """Dropout is not applied to the outputs themselves.

    A dropout after the last layer zeroes answers at random, and the others must be larger in compensation. The value is
    the share of outputs that are exactly zero in train mode and not in eval mode.
    """
    x = s.sample[0][:64]
    with torch.no_grad(), seeded(s.seed, "dropped"):
        zero_in_eval = main(s.forward(s.perturbed_model, x)) == 0
        zero_in_training = main(s.forward(copied(s.perturbed_model).train(), x)) == 0
    return below((zero_in_training & ~zero_in_eval).double().mean().item(), share)
