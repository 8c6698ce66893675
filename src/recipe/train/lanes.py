"""Many lanes of one architecture as one computation: loop.py for one, here with a leading dimension for lanes."""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from recipe import rng
from recipe.data.batches import Split, batches
from recipe.train import augment, dropout, layers, mixup, order
from recipe.train.convolution import IN_CACHE
from recipe.train.lane import Lane
from recipe.train.loop import autocast, outputs, rows_together
from recipe.train.updates import Update
from recipe.verdict import cause

TOGETHER = 2**14  # input values of an evaluation that are computed together, for all lanes: see loop.rows_together
BLOCK = 64  # steps whose batches are listed at once


class NotBatchable(Exception):
    """The lanes cannot be computed together; the message says why."""


class Lanes:
    """M lanes in training. Has the methods of loop.PlainLane, for many.

    The trainable weights of a lane are a row of `flat` (M, P), and the optimizer's moments have the same shape; the
    other tensors of a model (statistics, frozen weights, dropout's keys) are in `held`, by name, (M, ...) each.
    """

    def __init__(self, lanes: list[Lane], part: Split):
        self.lanes, self.part, self.done = lanes, part, 0
        models = [lane.model for lane in lanes]
        for model in models:
            dropout.keyed(model)
        self.base = copy.deepcopy(models[0])  # its code is used, its weights are not
        self.dropouts = {n: m for n, m in self.base.named_modules() if isinstance(m, dropout.Keyed)}
        for name, layer in self.dropouts.items():
            layer.off = all(model.get_submodule(name).off for model in models)
        learned = {n: p for n, p in self.base.named_parameters() if p.requires_grad}
        self.names, self.shapes = list(learned), [p.shape for p in learned.values()]
        self.sizes = [p.numel() for p in learned.values()]
        self.flat = torch.stack([torch.cat([p.detach().flatten() for p in _learned(m)]) for m in models])
        self.held = {name: torch.stack([_tensor(m, name) for m in models]) for name in self._held_names()}
        self.saved = self._saved()
        kept = {name: self.held[name] for name in self.saved.values() if name in self.held}
        self.best = {name: t.clone() for name, t in ({"flat": self.flat} | kept).items()}
        self.update = Update([lane.optimizer for lane in lanes], self.flat, [lane.scheduled for lane in lanes])
        device, seeds = self.flat.device, [lane.seed for lane in lanes]
        self.dropout_keys, self.augment_keys = (rng.keys(seeds, use).to(device) for use in ("dropout", "augment"))
        self._lanes_changed()

    def _held_names(self) -> list[str]:
        return [n for n, _ in (*self.base.named_parameters(), *self.base.named_buffers()) if n not in set(self.names)]

    def _lanes_changed(self) -> None:
        """Sets what depends on the lanes that remain."""
        self.augment = augment.stack([lane.augment for lane in self.lanes], self.lanes[0].batch_size, self.flat.device)
        smoothing = [getattr(lane.loss, "label_smoothing", 0.0) for lane in self.lanes]
        self.smoothing = self.flat.new_tensor(smoothing) if any(smoothing) else None
        self.mixing = any(lane.mixup for lane in self.lanes)
        shared_keys = _shared([lane.seed for lane in self.lanes], self.flat.device)
        for layer in self.dropouts.values():
            layer.shared_keys = shared_keys
        self.forward = layers.forward_of(self.base) or self._mapped()

    def _mapped(self) -> layers.Forward:
        for layer in self.dropouts.values():
            layer.in_vmap = True

        def one(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
            with _batchable_attention():
                return cast(Tensor, functional_call(self.base, tensors, (x,)))

        return cast(layers.Forward, vmap(one))

    def _weights(self, flat: Tensor) -> dict[str, Tensor]:
        parts = zip(self.names, torch.split(flat, self.sizes, 1), self.shapes, strict=True)
        return {name: torch.unflatten(part, 1, shape) if len(shape) else part[:, 0] for name, part, shape in parts}

    def try_out(self) -> None:
        """One forward and backward of all lanes, compared with the plain models of two of them.

        Raises NotBatchable where an operation has no form over lanes, draws unseeded random numbers or branches on its
        data; where the outputs differ; and where a weight gets no gradient, which torch's optimizers do not move.
        """
        lane, other = self.lanes[0], self.lanes[-1]
        size = min(lane.batch_size, len(self.part))
        x, y = self.part.x[:size], self.part.y[:size]
        before = {name: tensor.clone() for name, tensor in self.held.items()}
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message=".*performance drop.*")  # vmap would loop over the lanes
                together = self.outputs(Split(x, y, []))
                self.base.train()
                leaf = self.flat.detach().requires_grad_()
                out = self.forward(self._weights(leaf) | self.held, x.expand(len(leaf), *x.shape))
                loss = self._loss(out, y.expand(len(leaf), *y.shape), self.smoothing)
                torch.autograd.grad(loss.sum(), leaf)
        except Exception as error:  # a user-defined forward may raise anything under vmap
            raise NotBatchable(f"vmap: {cause(error)}") from None
        finally:
            self.held = before
        if together.shape[:2] != (len(self.lanes), size):
            raise NotBatchable(f"its outputs over lanes have the shape {tuple(together.shape)}")
        for which, one in ((0, lane), (-1, other)):
            alone = outputs(one.model, x)
            if not torch.allclose(together[which], alone, rtol=1e-3, atol=1e-4 * float(alone.abs().max())):
                raise NotBatchable("its outputs differ when lanes are computed together")
        model = copy.deepcopy(lane.model).eval()
        reached = torch.autograd.grad(lane.loss(model(x), y), _learned(model), allow_unused=True)
        if any(g is None for g in reached):
            raise NotBatchable("a weight gets no gradient")

    # ---- training --------------------------------------------------------------------------------------------

    def advance(self, to: int) -> Tensor:
        """Trains until `to` steps are done; returns the sum of the losses (M,), not finite for a lane that is lost."""
        total = torch.zeros(len(self.lanes), device=self.flat.device, dtype=self.flat.dtype)
        self.base.train()
        for first in range(self.done, to, BLOCK):
            last = min(first + BLOCK, to)
            for n, (x, y) in enumerate(batches(self.part, self._index(first, last)), first):
                total += self._step(n, *(torch.unflatten(t, 0, (len(self.lanes), -1)) for t in (x, y)))
        self.done = to
        return total

    def _index(self, first: int, last: int) -> Tensor:
        """(steps, M B): lanes of one seed, and so the arms of a comparison, share their order."""
        orders: dict[tuple, Tensor] = {}
        keys = [(lane.seed, lane.share, lane.sampler) for lane in self.lanes]
        for seed, share, sampler in dict.fromkeys(keys):
            index = order.batches(len(self.part), self.lanes[0].batch_size, seed, first, last, share, sampler)
            orders[seed, share, sampler] = index
        return torch.cat([orders[key] for key in keys], 1)

    def _step(self, n: int, x: Tensor, y: Tensor) -> Tensor:
        """Forward, backward, step on x (M, B, ...) and y (M, B); the loss before it (M,)."""
        if any(lane.extra for lane in self.lanes):
            x, y = self._with_extra(n, x, y)
        if self.augment:
            x = self._augmented(x, rng.fold(self.augment_keys, n))
        keys = rng.fold(self.dropout_keys, n)
        for i, (name, layer) in enumerate(self.dropouts.items()):
            self.held[f"{name}.key"], layer.calls = rng.fold(keys, i), 0
        lam = None
        if self.mixing:
            lam = self.flat.new_tensor([mixup.share(lane.mixup, lane.seed, n) for lane in self.lanes])
            x = mixup.mixed(x, lam.view(-1, *[1] * (x.ndim - 1)), 1)
        leaf = self.flat.detach().requires_grad_()
        with autocast(self.lanes[0].precision, x.device):
            out = self.forward(self._weights(leaf) | self.held, x)
            loss = self._loss(out, y, self.smoothing)
            if lam is not None:
                loss = lam * loss + (1 - lam) * self._loss(out, y.roll(1, 1), self.smoothing)
        (grad,) = torch.autograd.grad(loss.sum(), leaf)
        self.update.step(grad)
        return loss.detach()

    def _with_extra(self, n: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Lane by lane, as each draws its own."""
        each = zip(self.lanes, x, y, strict=True)
        mixed = [lane.extra.mixed(a, b, lane.seed, n) if lane.extra else (a, b) for lane, a, b in each]
        return torch.stack([a for a, _ in mixed]), torch.stack([b for _, b in mixed])

    def _augmented(self, x: Tensor, keys: Tensor) -> Tensor:
        """Lane by lane where the images exceed a CPU's cache: one call for all is three times as slow."""
        if self.augment and (x.is_cuda or x.numel() <= IN_CACHE):
            return augment.apply_lanes(self.augment, x, keys)
        pairs = zip((lane.augment for lane in self.lanes), x, keys, strict=True)
        return torch.stack([augment.apply(one, images, key) for one, images, key in pairs if one])

    def _loss(self, out: Tensor, y: Tensor, smoothing: Tensor | None) -> Tensor:
        """(M,) of out (M, B, K) and y (M, B), or probabilities (M, B, K)."""
        loss = self.lanes[0].loss
        return _cross_entropies(out, y, smoothing) if is_cross_entropy(loss) else cast(Tensor, vmap(loss)(out, y))

    # ---- evaluation ------------------------------------------------------------------------------------------

    def outputs(self, part: Split) -> Tensor:
        """(M, N, K), in eval mode."""
        self.base.eval()
        tensors, rows = self._weights(self.flat) | self.held, rows_together(part.x, TOGETHER)
        with torch.no_grad():
            return torch.cat([self.forward(tensors, x.expand(len(self.flat), *x.shape)) for x in part.x.split(rows)], 1)

    def losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """The judged loss (M,) of logits (M, N, K)."""
        judged, y = self.lanes[0].judged, y.expand(len(logits), *y.shape)
        return _cross_entropies(logits, y, None) if is_cross_entropy(judged) else cast(Tensor, vmap(judged)(logits, y))

    # ---- the end of lanes ------------------------------------------------------------------------------------

    def remember(self, which: list[int]) -> None:
        """Stores the present weights of these lanes as the best so far."""
        if which:
            for name, kept in self.best.items():
                kept[which] = (self.flat if name == "flat" else self.held[name])[which]

    def weights(self, which: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """State dicts of the last and of the best weights."""
        return self._state_dict({"flat": self.flat} | self.held, which), self._state_dict(self.best, which)

    def _state_dict(self, tensors: dict[str, Tensor], which: int) -> dict[str, Tensor]:
        named = self._weights(tensors["flat"]) | tensors
        return {name: named[first][which].clone() for name, first in self.saved.items()}

    def _saved(self) -> dict[str, str]:
        """{name in the state dict: name among the tensors}: tied weights have several names in the state dict."""
        state, first = self.base.state_dict(keep_vars=True), {}
        for name, tensor in (*self.base.named_parameters(), *self.base.named_buffers()):
            first[id(tensor)] = name
        return {name: first[id(tensor)] for name, tensor in state.items()}

    def keep(self, which: list[int]) -> None:
        """Only these remain: the others leave the batch, and their memory is freed."""
        self.lanes = [self.lanes[i] for i in which]
        if not which:
            return
        self.update.keep(which)
        self.flat = self.update.flat
        self.dropout_keys, self.augment_keys = self.dropout_keys[which], self.augment_keys[which]
        self.held = {name: tensor[which] for name, tensor in self.held.items()}
        self.best = {name: tensor[which] for name, tensor in self.best.items()}
        self._lanes_changed()

    def state(self) -> dict[str, Tensor]:
        """What `restore` resumes from; dropout's keys are derived at each step."""
        moments = {f"moment/{i}": m for i, m in enumerate(self.update.moments)}
        held = {f"held/{name}": t for name, t in self.held.items() if name in self.best}
        return {"flat": self.flat} | moments | held | {f"best/{name}": t for name, t in self.best.items()}

    def restore(self, state: dict[str, Tensor], done: int) -> None:
        """Into lanes that `keep` has already reduced to those that were in training."""
        self.done = self.update.done = done
        self.flat = state["flat"]
        self.update.hold(self.flat, [state[f"moment/{i}"] for i in range(len(self.update.moments))])
        self.held |= {name: state[f"held/{name}"] for name in self.best if name in self.held}
        self.best = {name: state[f"best/{name}"] for name in self.best}


@contextmanager
def _batchable_attention() -> Iterator[None]:
    """Attention as matrix products: its fused kernels have no form over lanes."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _cross_entropies(out: Tensor, y: Tensor, smoothing: Tensor | None) -> Tensor:
    """(M,) of out (M, B, K) and y (M, B), or probabilities (M, B, K); smoothing: (M,) of labels."""
    log_p = out.transpose(1, 2).log_softmax(1)  # five times faster than with the classes last
    if y.ndim == 3:
        loss = -(log_p * y.transpose(1, 2)).sum(1).mean(1)
    else:
        loss = -log_p.gather(1, y.unsqueeze(1)).squeeze(1).mean(1)
    return loss if smoothing is None else (1 - smoothing) * loss - smoothing * log_p.mean((1, 2))


def is_cross_entropy(loss: Callable) -> bool:
    """The plain cross-entropy, or with label smoothing only."""
    if loss is F.cross_entropy:
        return True
    if not isinstance(loss, nn.CrossEntropyLoss) or type(loss) is not nn.CrossEntropyLoss:
        return False
    return loss.weight is None and loss.reduction == "mean" and loss.ignore_index == -100


def _shared(seeds: list[int], device: torch.device) -> tuple[Tensor, Tensor] | None:
    """(the first lane of each seed, for each lane which of these has its seed); None where all differ."""
    distinct = list(dict.fromkeys(seeds))
    if len(distinct) == len(seeds):
        return None
    first, source = [seeds.index(seed) for seed in distinct], [distinct.index(seed) for seed in seeds]
    return torch.tensor(first, device=device), torch.tensor(source, device=device)


def _learned(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def _tensor(model: nn.Module, name: str) -> Tensor:
    owner, _, leaf = name.rpartition(".")
    tensor: Tensor = getattr(model.get_submodule(owner), leaf)
    return tensor.detach()
