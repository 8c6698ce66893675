"""The first calls of the training step: what the optimizer steps by, how often, and how far the weights move."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recipe.checks.measurements.measured_once import measured_once
from recipe.checks.setup import Setup
from recipe.rng import seeded

CALLS = 16  # of train_step: enough to see how many calls make one step of the optimizer


@dataclass
class StepRecord:
    """What the first calls of train_step did."""

    model: nn.Module
    before: dict[str, Tensor]  # the parameters before the first call
    largest_gradient: dict[str, float]  # of each parameter, when the optimizer stepped
    steps: list[int]  # of the optimizer, per call

    @property
    def calls_per_step(self) -> int:
        """More than one where gradients are accumulated."""
        total = sum(self.steps)
        return 1 if total == 0 else max(1, round(len(self.steps) / total))


@measured_once
def start_weights(s: Setup) -> dict[str, Tensor]:
    """The state that each of these short trainings starts from."""
    return {n: t.detach().clone() for n, t in s.new_model().state_dict().items()}


def model_at_start(s: Setup) -> nn.Module:
    model = s.new_model()
    model.load_state_dict(start_weights(s))
    return model


def declared_frozen(s: Setup, name: str) -> bool:
    return any(name.startswith(prefix) for prefix in s.declare.frozen)


def run_steps(
    s: Setup,
    calls: int,
    before_call: Callable[[int, StepRecord], None] = lambda call, record: None,
    configure: Callable[[torch.optim.Optimizer], None] = lambda optimizer: None,
) -> StepRecord:
    """Calls of the training step, from the same weights each time; `configure` may change the optimizer first."""
    model = model_at_start(s)
    optimizer = s.optimizer_for(model)
    configure(optimizer)
    parameters = dict(model.named_parameters())
    before = {n: p.detach().clone() for n, p in parameters.items()}
    record = StepRecord(model, before, dict.fromkeys(parameters, 0.0), [])

    def note_step(*_):
        record.steps[-1] += 1
        for n, p in parameters.items():
            if p.grad is not None:
                record.largest_gradient[n] = max(record.largest_gradient[n], p.grad.abs().max().item())

    hook = optimizer.register_step_pre_hook(note_step)
    with seeded(s.seed, "train"):
        for call, (x, y) in zip(range(calls), s.batches(s.seed, augmented=False), strict=False):
            before_call(call, record)
            record.steps.append(0)
            s.train_step(model, optimizer, x, y, s.loss)
    hook.remove()
    return record


@measured_once
def first_steps(s: Setup) -> StepRecord:
    return run_steps(s, max(CALLS, 4 * s.declare.accumulate))


def calls_per_step(s: Setup) -> int:
    """As declared, else as measured."""
    return s.declare.accumulate if s.declare.accumulate > 1 else first_steps(s).calls_per_step


@measured_once
def order_of_calls(s: Setup) -> list[str]:
    """What the first steps call, in order: backward, clip, scale, unscale, step.

    Functions are recognised by their code, whatever name the user has imported them under.
    """
    functions: dict[Callable, str] = {
        torch.autograd.backward: "backward",
        nn.utils.clip_grad_norm_: "clip",
        nn.utils.clip_grad_value_: "clip",
        torch.amp.GradScaler.scale: "scale",
        torch.amp.GradScaler.unscale_: "unscale",
    }
    names = {inspect.unwrap(function).__code__: name for function, name in functions.items()}
    order: list[str] = []

    def note_call(frame, event, _):
        if event == "call" and frame.f_code in names:
            order.append(names[frame.f_code])

    def note_steps(optimizer: torch.optim.Optimizer) -> None:
        optimizer.register_step_pre_hook(lambda *_: order.append("step"))

    calls = 2 * first_steps(s).calls_per_step
    before = sys.getprofile()
    sys.setprofile(note_call)
    try:
        run_steps(s, calls, configure=note_steps)
    finally:
        sys.setprofile(before)
    return order
