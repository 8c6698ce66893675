"""Hooks on the model, on the optimizer and on `backward`, which note what a training loop does; they change nothing.

Every hook is a plain function: a model that the user copies meanwhile takes no reference to the watch along.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from recipe.errors import RecipeError
from recipe.verdict import cause
from recipe.watching.loss_graph import loss_graphs, unregistered, variables
from recipe.watching.observed import (
    EARLY,
    FIRST,
    Observed,
    RecipeWarning,
    mode_dependent,
    next_look,
    sampled,
)
from recipe.watching.probes import Probed, copied_model, probe
from recipe.watching.structures import copied, fingerprints, main_input, main_output, tensors
from recipe.watching.user_code import user_line

REMEMBERED = 200_000  # training examples whose fingerprints are kept
KEPT = 64  # examples of a batch that are kept, of the first batches
BYTES = 4 * 2**20  # of them at most
SERIES = 8  # forward passes without gradients that are taken for an evaluation; fewer where they read the whole of val


@contextlib.contextmanager
def hooked(o: Observed, loss: Callable | None, judge: Callable[[], None]) -> Iterator[None]:
    """Notes in `o` what the loop inside the block does. judge: is called where something new is known."""
    watched = _Watched(o, loss, judge)
    forward, after, step, stepped, before, passed = (
        guarded(o, hook)
        for hook in (
            watched.before_forward, watched.after_forward, watched.before_step, watched.after_step,
            watched.before_backward, watched.after_backward,
        )
    )  # fmt: skip
    calls = _Calls(o.model, forward, after)
    handles: list[Any] = [
        o.optimizers[0].register_step_pre_hook(lambda m, a, more: step(a, more)),
        o.optimizers[0].register_step_post_hook(lambda m, a, more: stepped()),
    ]
    plain, active = torch.autograd.backward, True

    def backward(*args: Any, **more: Any) -> Any:
        if active:
            before(args[0] if args else more.get("tensors"))
        result = plain(*args, **more)
        if active:
            passed()
        return result

    torch.autograd.backward = backward
    try:
        yield
    finally:
        active = False
        if torch.autograd.backward is backward:  # else another watch, which still looks on, calls this function
            torch.autograd.backward = plain
        for handle in (*handles, *calls.handles):
            handle.remove()
        guarded(o, watched.end)()


def guarded(o: Observed, hook: Callable[..., None]) -> Callable[..., None]:
    """The hook, of which an error ends the watch and not the training; RecipeError is meant for the user."""

    def call(*args: Any) -> None:
        if o.crash:
            return
        try:
            hook(*args)
        except (RecipeError, RecipeWarning):  # a warning that was made an error
            raise
        except Exception as error:
            o.crash = cause(error)

    return call


class _Hook:
    """A hook that does nothing in a copy of its module, saved or in memory."""

    def __init__(self, function: Callable[..., None] | None = None):
        self.function = function

    def __call__(self, *args: Any) -> None:
        if self.function:
            self.function(*args)

    def __reduce__(self) -> tuple:
        return _Hook, ()


class _Calls:
    """Hooks on the model and on its parts, for code may call a part alone, as a `training_step` of Lightning does.

    before(module, args, kwargs) and after(module, args, kwargs, outputs) are called for calls from outside alone.
    """

    def __init__(self, model: nn.Module, before: Callable[..., None], after: Callable[..., None]):
        depth = 0
        self.handles: list[Any] = []
        parts: list[Any] = []

        def enter(module: nn.Module, args: tuple, kwargs: dict) -> None:
            nonlocal depth
            depth += 1
            if depth == 1:
                before(module, args, kwargs)
            if module is model:  # its parts are not called alone, and their hooks would cost time
                for handle in parts:
                    handle.remove()
                parts.clear()

        def leave(module: nn.Module, args: tuple, kwargs: dict, out: Any) -> None:
            nonlocal depth
            if not depth:
                return
            depth -= 1
            if not depth:
                after(module, args, kwargs, out)

        modules = [model, *model.children()]
        for module in modules:
            hooks = (
                module.register_forward_pre_hook(_Hook(enter), with_kwargs=True),
                module.register_forward_hook(_Hook(leave), with_kwargs=True, always_call=True),
            )
            self.handles += hooks
            parts += hooks if module is not model else ()


class _Watched:
    """The state between hooks of one loop."""

    def __init__(self, o: Observed, loss: Callable | None, judge: Callable[[], None]):
        self.o, self.judge = o, judge
        self.parameters = {n: p for n, p in o.model.named_parameters() if not isinstance(p, nn.UninitializedParameter)}
        self.known = {id(p) for group in o.groups for p in group["params"]}
        self.known |= {id(p) for p in o.model.parameters()}
        self.known |= {id(p) for p in loss.parameters()} if isinstance(loss, nn.Module) else set()
        self.layers = mode_dependent(o.model)
        self.in_eval_mode = False  # the model in the last forward pass with gradients
        self.eval_line: str | None = None  # of the last backward, where it was after such a pass in eval mode
        self.called = False  # with gradients since the last backward
        self.passes = self.examples = self.changes = self.versions = 0  # of the evaluation that is under way
        self.pending: list[Tensor] = []  # losses on a device, where asking for each would wait for it
        self.before: dict[str, Tensor] = {}
        self.stepped = False  # since the last backward
        self.left: dict[int, tuple[Any, Tensor, int]] = {}  # gradients that were there before a backward
        self.stale: list[tuple[Any, Tensor]] = []  # gradients of an earlier step that a backward has added to
        self.stale_line = ""
        self.ours = False  # whether the backward that runs is of this model
        self.closure = False
        self.remembered = 0  # training examples
        self.next_look = 1
        self.entrance: nn.Module | None = None  # what the loop calls first: the model, or a part of it

    @property
    def due(self) -> bool:
        """Whether the step that is under way is looked at in full."""
        return self.o.steps + 1 >= self.next_look

    # ---- the model

    def before_forward(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        o = self.o
        if not torch.is_grad_enabled():
            self._evaluation(args, kwargs)
            return
        self.end_evaluation()
        o.forwards += 1
        o.step = o.steps + 1
        self.called = True
        self.in_eval_mode = bool(self.layers) and not o.model.training and not any(m.training for _, m in self.layers)
        self.entrance = self.entrance or module
        if module is not self.entrance:  # what enters a later part has come from an earlier one
            return
        if o.val is None and len(o.inputs) == FIRST:  # nothing to compare with
            return
        x = main_input((args, kwargs))
        if x is not None and o.val is not None and self.remembered < REMEMBERED:
            o.seen.append(fingerprints(x))
            self.remembered += len(x)
        if x is not None and len(o.inputs) < FIRST:
            o.inputs.append(copied(x, max(2, min(KEPT, BYTES // max(1, x[0].numel() * x.element_size())))))
            o.input_steps.append(o.steps)

    def after_forward(self, module: nn.Module, args: tuple, kwargs: dict, out: Any) -> None:
        o = self.o
        if not torch.is_grad_enabled() or o.probed is not None:
            return
        self.parameters = dict(o.model.named_parameters())  # lazy ones have a shape now
        if not all(p.is_leaf for p in self.parameters.values()):  # functional_call: other tensors in their places
            return
        o.time_first = any(getattr(m, "batch_first", None) is False for m in module.modules())
        o.start = {name: sampled(p) for name, p in self.parameters.items()}
        o.statistics = self._frozen_statistics()
        main = main_output(out)
        if main is not None:
            o.output_size = main.numel() if module is o.model else None
            given = tensors((args, kwargs))
            inputs = {t.grad_fn for t in given if t.grad_fn is not None}
            o.hidden = unregistered(main.grad_fn, self.known | set(map(id, given)), inputs)
        model = copied_model(module)
        o.probed = Probed(reason="the model is too large, or cannot be copied")
        if model is not None:
            o.probed = probe(model, *copied((args, kwargs), KEPT))

    def _evaluation(self, args: tuple, kwargs: dict) -> None:
        versions = self._versions()
        if not self.passes:
            self.examples, self.changes, self.versions = 0, 0, versions
        self.passes += 1
        self.changes += versions != self.versions  # of buffers: weights are exchanged on purpose
        self.versions = versions
        x = main_input((args, kwargs))
        self.examples += 0 if x is None else len(x)
        whole = self.passes >= SERIES or self.examples == self.o.val_size
        on = whole and any(layer.training and getattr(layer, "momentum", 0) is not None for _, layer in self.layers)
        if on and self.o.steps and self.o.note("evaluation in train mode", user_line()):
            self.judge()

    def end_evaluation(self) -> None:
        passes, self.passes = self.passes, 0
        if not passes or (passes < SERIES and self.examples != self.o.val_size):
            return
        self.o.evaluated.append(self.examples)
        if self.changes > 2 and 2 * self.changes >= passes - 1 and self.o.steps:  # with each pass, not once
            self.o.note("evaluation changed the model", "")

    def _versions(self) -> int:
        """Grows with each change in place of a buffer."""
        return sum(t._version for t in self.o.model.buffers() if not t.is_inference())

    # ---- backward

    def before_backward(self, roots: Any) -> None:
        o = self.o
        every = [roots] if isinstance(roots, Tensor) else tensors(roots)
        root = next((t for t in every if t.grad_fn is not None), None)
        self.ours = root is not None and (self._read(root) if o.backwards < FIRST else self.called)
        if root is None or not self.ours:
            return
        self.eval_line = user_line() if self.in_eval_mode else None
        if root.numel() == 1:
            self._note_loss(root.detach().clone())
        self.stale = [(p, g) for p, g in self.stale if p.grad is g and bool(values_of(g).count_nonzero())]
        self.left = self._gradients() if self.stepped and self.due else {}
        o.backwards += 1

    def after_backward(self) -> None:
        if not self.ours:
            return
        self.stale += [(p, g) for p, g, version in self.left.values() if p.grad is g and g._version != version]
        self.stale_line = user_line() if self.left else self.stale_line
        self.stepped, self.called, self.left = False, False, {}

    def _note_loss(self, value: Tensor) -> None:
        self.pending.append(value)
        if value.device.type == "cpu" or self.due:
            self._read_losses()

    def _read_losses(self) -> None:
        if not self.pending:
            return
        values = torch.stack([value.reshape(()) for value in self.pending]).tolist()
        self.pending.clear()
        self.o.losses += values
        if not all(map(math.isfinite, values)) and self.o.note("the loss is not finite", user_line()):
            self.judge()

    def _read(self, root: Tensor) -> bool:
        """Notes the loss functions of a loss; gives whether it is one of this model."""
        o = self.o
        if not variables(root.grad_fn) & {id(p) for p in self.parameters.values()}:
            return False
        graphs = loss_graphs(root.grad_fn, measure=not o.graphs)
        if graphs and not o.graphs:
            o.graphs = graphs
            o.note("a loss was read", user_line())
        if graphs and graphs[0].labels is not None:
            o.targets.append(graphs[0].labels)
        return True

    def _gradients(self) -> dict[int, tuple[Any, Tensor, int]]:
        """(parameter, its gradient, version of the gradient) of those in the optimizer that are not zero."""
        held = [p for group in self.o.groups for p in group["params"] if p.grad is not None]
        return {id(p): (p, p.grad, p.grad._version) for p in held if bool(values_of(p.grad).count_nonzero())}

    # ---- the optimizer

    def before_step(self, args: tuple, kwargs: dict) -> None:
        o = self.o
        self.closure = any(map(callable, args[1:])) or callable(kwargs.get("closure"))  # args[0] is the optimizer
        o.rates.append(max((float(group.get("lr", 0)) for group in o.optimizers[0].param_groups), default=0.0))
        if not self.closure:
            self._judge_backward()
        if not self.due:
            return
        self.parameters = dict(o.model.named_parameters())  # a part may be new
        self.before = {name: sampled(p) for name, p in self.parameters.items() if p.requires_grad}
        if not self.closure:  # which computes the gradients inside the step
            self._look_at_gradients()

    def _judge_backward(self) -> None:
        """What was wrong with the backward passes counts now that the optimizer steps by them."""
        if self.eval_line is not None and self.o.note("training in eval mode", self.eval_line):
            self.judge()
        kept = any(p.grad is g for p, g in self.stale)
        self.stale = []
        if kept and self.o.note("gradients were left", self.stale_line):
            self.judge()

    def _look_at_gradients(self) -> None:
        o = self.o
        gradients = {n: values_of(p.grad) for n, p in self.parameters.items() if p.grad is not None}
        with_gradient = {name for name, gradient in gradients.items() if bool(gradient.count_nonzero())}
        o.got_gradient |= with_gradient
        held = {id(p) for group in o.groups for p in group["params"]}
        zero = bool(o.losses) and o.losses[-1] == 0  # as of a margin that every example keeps
        lacking = not zero and not any(id(self.parameters[name]) in held for name in with_gradient)
        if lacking and o.note("a step without a gradient", user_line()):
            self.judge()
        finite = all(bool(gradients[name].isfinite().all()) for name in with_gradient)
        if not finite and o.note("a gradient is not finite", user_line()):
            self.judge()

    def after_step(self) -> None:
        o = self.o
        o.steps += 1
        self.stepped = True
        if o.steps < self.next_look:
            return
        o.looks += 1
        self.next_look = next_look(o.steps)
        if self.closure:
            self._judge_backward()
            self._look_at_gradients()
        held = {id(p) for group in o.groups for p in group["params"]}
        ratios = []
        for name, old in self.before.items():
            p, now = self.parameters[name], sampled(self.parameters[name])
            o.start.setdefault(name, old)
            o.trained[name] += id(p) in held or o.steps <= FIRST
            if not now.equal(o.start.get(name, now)):
                o.moved.add(name)
            if p.ndim > 1:
                usual = (now.numel() / (3 * p[0].numel())) ** 0.5  # norm of a layer as PyTorch initialises it
                small = o.start.get(name, old).norm().item() <= 0.01 * usual  # as a head of zeros
                size = max(old.norm().item(), usual if small else 1e-12)
                ratios.append((now - old).norm().item() / size)
        if ratios:
            o.ratios.append(sorted(ratios)[len(ratios) // 2])
        if any(
            not now.equal(o.statistics[name]) for name, now in self._frozen_statistics().items() if name in o.statistics
        ):
            o.note("frozen statistics moved", "")
        if o.steps in (1, EARLY) or o.steps >= FIRST:
            self.judge()

    def end(self) -> None:
        self.end_evaluation()
        self._read_losses()

    def _frozen_statistics(self) -> dict[str, Any]:
        """Running means of batch norm whose own weights are frozen."""
        layers: list[tuple[str, Any]] = [(n, m) for n, m in self.layers if getattr(m, "running_mean", None) is not None]
        frozen = [(n, m) for n, m in layers if m.weight is not None and not m.weight.requires_grad]
        return {name: layer.running_mean.detach().clone() for name, layer in frozen}


def values_of(gradient: Any) -> Tensor:
    """The numbers of a gradient, which may be sparse."""
    values: Tensor = gradient._values() if gradient.is_sparse else gradient
    return values
