"""What depends on what: examples, pixels and time by backprop and exchange; layers and parameters by the graph."""

import copy

import torch
from torch import Tensor, nn

from recipe.checks.inputs import numbers
from recipe.checks.measurements.activations import mixes_by_batch_norm
from recipe.checks.setup import Setup
from recipe.rng import generator, key, seeded
from recipe.verdict import FAIL, PASS, Verdict, above, below, check, exactly, skip


def named(names: list[str], of: int) -> Verdict:
    """Passes where no name is on the list; else shows how many and the first."""
    shown = f"{len(names)} of {of}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
    return Verdict(FAIL if names else PASS, shown if names else 0, "= 0")


# ---- the batch -----------------------------------------------------------------------------------------------------


def _gradients(s: Setup, model: nn.Module, size: int = 8) -> tuple[Tensor, Tensor]:
    """Per example, the absolute gradient of its outputs on the others' inputs, and on its own."""
    x = s.batch(size)[0].clone().requires_grad_()
    out = model(x)
    if not out.requires_grad:
        return torch.zeros(len(x)), torch.zeros(len(x))
    # weighed at random: a plain sum over a softmax is 1 whatever the input
    weights = torch.randn(out.shape[1:], generator=torch.Generator().manual_seed(s.seed)).to(out)
    others, own = [], []
    for i in range(len(x)):
        (g,) = torch.autograd.grad((out[i] * weights).sum(), x, retain_graph=True, allow_unused=True)
        size_of = (torch.zeros_like(x) if g is None else g).abs().flatten(1).sum(1)
        own.append(size_of[i])
        others.append(size_of.sum() - size_of[i])
    return torch.stack(others), torch.stack(own)


def _exchange(s: Setup, model: nn.Module, size: int = 8) -> Tensor:
    """By how much an output moves, over its size, when all other examples of its batch are others."""
    x = s.batch(2 * size)[0]
    one, rest = x[:size], x[size:]
    moved = []
    for i in (0, len(one) - 1):
        changed = rest[: len(one)].clone() if len(rest) >= len(one) else one.flip(0).clone()
        changed[i] = one[i]
        with torch.no_grad():
            outputs = [_again(s, model, part)[i] for part in (one, changed)]
        moved.append((outputs[0] - outputs[1]).abs().max() / outputs[0].abs().max().clamp_min(1e-6))
    return torch.stack(moved).max()


def _again(s: Setup, model: nn.Module, x: Tensor) -> Tensor:
    """A forward pass whose dropout is the same at each call."""
    model = copy.deepcopy(model)  # and whose buffers are too: spectral norm goes on with its power iteration
    with seeded(s.seed, "again"):
        return model(x)


@check(source="Recipe 2, use backprop to chart dependencies; Karpathy, most common neural net mistakes, no. 6")
def batch_is_independent(s: Setup, share: float = 1e-6, moved: float = 1e-4) -> Verdict:
    """In eval mode an example's output depends on that example alone: the share of its gradient that lands on others.

    `view` or `reshape` where `permute` or `transpose` was meant, a softmax or a mean over dimension 0, batch first
    taken for time first, a norm over the batch that is not off in eval mode.
    """
    swapped = _exchange(s, s.noisy).item()
    if not numbers(s) or not swapped <= moved:
        return below(swapped, moved)
    others, own = _gradients(s, s.noisy)
    return below((others / (others + own).clamp_min(1e-30)).max().item(), share)


@check(source="Recipe 2, use backprop to chart dependencies")
def batch_is_independent_in_training(s: Setup, moved: float = 1e-4) -> Verdict:
    """In train mode too, but for batch norm, an example's output depends on that example alone.

    A centring, softmax or attention over dimension 0 that is active while training. Meant, as in a contrastive model?
    Write `declare: {mixes_samples: true}` in params.yaml.
    """
    if s.declare.mixes_samples:
        return skip("examples are mixed, as declared")
    if mixes_by_batch_norm(s):
        return skip("batch norm mixes a training batch on purpose")
    return below(_exchange(s, copy.deepcopy(s.noisy).train()).item(), moved)


# ---- the inputs ----------------------------------------------------------------------------------------------------


@check(source="Recipe 2, use backprop to chart dependencies; huggingface/torchMoji#21")
def outputs_depend_on_inputs(s: Setup) -> Verdict:
    """Each output moves when its input moves.

    A `.detach()` or `.data` on the way, a layer whose units are all dead, an input that is overwritten or multiplied by
    zero.
    """
    if numbers(s):
        return above(_gradients(s, s.noisy)[1].min().item(), 0.0)
    x = s.batch(8)[0]
    other = _other_tokens(s, x)
    with torch.no_grad():
        return above((s.noisy(x) - s.noisy(other)).reshape(len(x), -1).abs().amax(1).min().item(), 0.0)


def _other_tokens(s: Setup, x: Tensor) -> Tensor:
    """Each position holds a token that it holds elsewhere in the data, another one where there is another."""
    values = s.seen[0].flatten(1)
    pick = torch.randint(len(values), x.flatten(1).shape, generator=generator(s.seed, "tokens")).to(x.device)
    return values.gather(0, pick).reshape(x.shape)


@check(source="Recipe 2, use backprop to chart dependencies")
def every_input_is_used(s: Setup, share: float = 0.5) -> Verdict:
    """The answers depend on most of what varies in the inputs, and on every channel: the share without any effect.

    A slice that is off (`x[:, :1]` of three channels, half of the columns), a mask the wrong way round, a crop or
    stride that leaves most of the picture out, a recurrent net of which only the first step is read.
    """
    x = s.some[0][:64]
    if not numbers(s):
        return below(_unused_positions(s, x), share)
    x = x.clone().requires_grad_()
    out = s.noisy(x)
    if not out.requires_grad:
        return below(1.0, share)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(s.seed)).to(out)
    (g,) = torch.autograd.grad((out * weights).sum(), x, allow_unused=True)
    used = (torch.zeros_like(x) if g is None else g).abs().amax(0) > 0
    varies = x.detach().std(0) > 0
    if x.ndim == 4 and 1 < x.shape[1] <= 4:
        lost = [c for c in range(x.shape[1]) if varies[c].any() and not (used & varies)[c].any()]
        if lost:
            return Verdict(FAIL, f"channel {lost[0]} of {x.shape[1]} has no effect", "every channel has")
    return below((~used & varies).sum().item() / max(1, int(varies.sum())), share)


@check(source="PyTorch documentation, torch.nn.Embedding, padding_idx: its row gets no gradient")
def padding_is_no_token(s: Setup, share: float = 0.05) -> Verdict:
    """The index that an embedding leaves untrained stands at the ends of sequences alone.

    `padding_idx=0` where 0 is a word of the vocabulary: its vector never learns. The value is the share of sequences
    that hold it between other tokens.
    """
    model, inside = s.fresh().eval(), []

    def look(module, args):
        tokens = args[0] != module.padding_idx
        if tokens.ndim == 2:
            before, after = tokens.cummax(1).values, tokens.flip(1).cummax(1).values.flip(1)
            inside.append((~tokens & before & after).any(1).double().mean().item())

    kinds = (nn.Embedding, nn.EmbeddingBag)
    for module in model.modules():
        if isinstance(module, kinds) and module.padding_idx is not None:
            module.register_forward_pre_hook(look)
    with torch.no_grad():
        model(s.some[0])
    return below(max(inside), share) if inside else skip("no embedding with a padding index over sequences")


def _unused_positions(s: Setup, x: Tensor) -> float:
    other, rows = _other_tokens(s, x), x.flatten(1)
    positions = [p for p in range(rows.shape[1]) if (rows[:, p] != other.flatten(1)[:, p]).any()]
    positions = positions[:: max(1, len(positions) // 32)]
    unused = 0
    with torch.no_grad():
        before = s.noisy(x)
        for p in positions:
            changed = rows.clone()
            changed[:, p] = other.flatten(1)[:, p]
            unused += bool((s.noisy(changed.reshape(x.shape)) == before).all())
    return unused / max(1, len(positions))


@check(source="Recipe 2, use backprop to chart dependencies; Vaswani et al. 2017, section 3.2.3, masking")
def the_future_is_hidden(s: Setup, moved: float = 1e-4) -> Verdict:
    """An output at time t does not see inputs after t, where it is declared causal or the targets are the next inputs.

    The attention mask is missing, transposed or off by one, a convolution pads on both sides, a recurrent net runs both
    ways, or time and batch are exchanged. `declare: {causal: true}` in params.yaml asks for it of any sequence.
    """
    x, y = s.batch(8)
    if s.kind != "sequence" or x.ndim < 2 or x.shape[1] != y.shape[1] or y.shape[1] < 2:
        return skip("no outputs over time")
    shifted = x.shape == y.shape and (x[:, 1:] == y[:, :-1]).float().mean() > 0.99
    if not (s.declare.causal or shifted):
        return skip("not declared causal, and the targets are not the next inputs")
    worst, length = 0.0, x.shape[1]
    with torch.no_grad():
        before = s.noisy(x)
        for t in sorted({0, length // 4, length // 2, length - 2}):
            later = x.clone()
            later[:, t + 1 :] = x.roll(1, 0)[:, t + 1 :] if numbers(s) else _other_tokens(s, x)[:, t + 1 :]
            difference = (s.noisy(later) - before)[:, : t + 1].abs().max() / before.abs().max().clamp_min(1e-6)
            worst = max(worst, difference.item())
    return below(worst, moved)


# ---- the layers ----------------------------------------------------------------------------------------------------


@check(source="maruya24/pytorch_robotics_transformer#3")
def parameters_are_registered(s: Setup) -> Verdict:
    """Everything that the loss would train is among model.parameters().

    Layers kept in a plain list or dict instead of ModuleList, a tensor that should be a Parameter: no optimizer sees
    them, no checkpoint holds them, `.to(device)` leaves them behind.
    """
    model = s.fresh()
    held = {id(p) for g in s.optimizer_for(model).param_groups for p in g["params"]}
    own = {id(p) for p in model.parameters()} | held
    own |= {id(p) for p in s.loss.parameters()} if isinstance(s.loss, nn.Module) else set()
    x, y = s.batch(8)
    with torch.enable_grad(), seeded(s.seed, "graph"):
        node = s.loss(model(x), y).grad_fn
    hidden, stack, done = [], [node], set()
    while stack:
        node = stack.pop()
        if node is None or node in done:
            continue
        done.add(node)
        if hasattr(node, "variable") and id(node.variable) not in own:
            hidden.append(f"a tensor {tuple(node.variable.shape)}")
        stack += [n for n, _ in node.next_functions]
    return named(sorted(hidden), len(own) + len(hidden))


@check(source="Python's list multiplication: [layer] * 3 is one layer three times")
def layers_are_their_own(s: Setup) -> Verdict:
    """No layer with weights stands under two names, and no batch norm is used twice in one pass.

    `[layer] * n` or a default argument makes n names for one layer. A batch norm in two places mixes the statistics of
    both, and eval mode then fits neither. Meant? Write `declare: {shared_modules: true}` in params.yaml.
    """
    if s.declare.shared_modules:
        return skip("layers are shared, as declared")
    model, calls, names = s.fresh(), {}, {}
    hooks = []
    for name, module in model.named_modules(remove_duplicate=False):
        if next(module.parameters(recurse=False), None) is not None or list(module.buffers(recurse=False)):
            names.setdefault(module, []).append(name)
    for module in names:
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
            hooks.append(module.register_forward_pre_hook(lambda m, _: calls.update({m: calls.get(m, 0) + 1})))
    with torch.no_grad(), seeded(s.seed, "graph"):
        model(s.batch(8)[0])
    for hook in hooks:
        hook.remove()
    wrong = [" = ".join(known[:3]) for m, known in names.items() if len(known) > 1 or calls.get(m, 0) > 1]
    return named(wrong, len(names))


@check(source="PyTorch documentation, torch.nn.functional.dropout: training=True is the default")
def eval_mode_is_still(s: Setup) -> Verdict:
    """In eval mode the same input gives the same output twice.

    `F.dropout(x)` without `training=self.training`, a random crop or noise inside forward, a buffer that every pass
    changes.
    """
    x = s.batch(8)[0]
    model = copy.deepcopy(s.noisy)
    with torch.no_grad():
        with seeded(key(s.seed, 1)):
            one = model(x)
        with seeded(key(s.seed, 2)):
            other = model(x)
    return exactly(int((one != other).reshape(len(x), -1).any(1).sum()), 0)


@check(source="Srivastava et al. 2014, dropout stands before a layer, not after the last")
def outputs_are_not_dropped(s: Setup, share: float = 0.01) -> Verdict:
    """Training drops none of the outputs themselves.

    A dropout after the last layer zeroes answers at random, and the loss then teaches the rest to shout. The value is
    the share of outputs that are exactly zero in train mode and not in eval mode.
    """
    x = s.some[0][:64]
    with torch.no_grad(), seeded(s.seed, "dropped"):
        still = s.noisy(x) == 0
        dropped = copy.deepcopy(s.noisy).train()(x) == 0
    return below((dropped & ~still).double().mean().item(), share)
