"""One short training by the user's `fit` or by a plain one: every batch, step and mode is recorded."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.hooks import RemovableHandle

from recipe.checks import answers
from recipe.checks.examples import MapDataset
from recipe.checks.measurements.batch_capture import on_entry
from recipe.checks.measurements.measured_once import measured_once
from recipe.checks.parts import targets_of
from recipe.checks.scheduler import step_scheduler
from recipe.checks.setup import Setup
from recipe.rng import seeded

MIN_STEPS = 300  # where neither a schedule nor a user-defined loop sets the length of a training
MAX_EXAMPLES = 100_000  # over all epochs that are added for that
MAX_EVALUATIONS = 3  # of the plain loop: an epoch may be a single step, and val is read as a whole


@dataclass
class ShortRun:
    """What a training returned, and what was recorded while it ran."""

    model: nn.Module
    initial: dict[str, Tensor]
    epochs: int
    losses: list[float] = field(default_factory=list)  # per step
    lrs: list[float] = field(default_factory=list)  # per step, as the history gives them
    val: list[float] = field(default_factory=list)  # the validation score per epoch that was evaluated
    best_state: Mapping | None = None
    examples_per_pass: dict[str, list[int]] = field(default_factory=dict)  # of each pass over the loader of that name
    rates: list[float] = field(default_factory=list)  # of the optimizer at each step, whatever the history gives
    moved: bool = False
    restarts: int = 0  # steps that began from the initial weights again
    loader_before_step: list[str] = field(default_factory=list)  # the loader that was read last, per optimizer step
    batches: set[float] = field(default_factory=set)  # a number per different batch that entered the net in training
    in_eval_mode: set[str] = field(default_factory=set)  # dropout and norm layers in eval mode in a training step


class RecordedLoader(DataLoader):
    """A loader that calls note(name, examples) for each batch, and note(name, None) at the start of each pass.

    count: of the examples of a batch.
    """

    def record(
        self, name: str, note: Callable[[str, int | None], None], count: Callable[[Any], int]
    ) -> "RecordedLoader":
        self.name, self.note, self.count = name, note, count
        return self

    def __iter__(self):
        self.note(self.name, None)
        for batch in super().__iter__():
            self.note(self.name, self.count(batch))
            yield batch


def default_fit(s: Setup, model, optimizer, scheduler, train_loader, val_loader, epochs: int) -> dict[str, Any]:
    """The plain loop over these parts; it evaluates after its first epochs, to see what that does to the training."""
    losses: list[float] = []
    lrs: list[float] = []
    val: list[float] = []
    for epoch in range(epochs):
        if epoch == 0 or s.train_step == s.default_step:
            model.train()  # with a step of the user's once: code that leaves eval mode behind has to put it back
        for batch in train_loader:
            x, y = s.unpacked(batch)
            if len(y) == 1 and len(train_loader) > 1 and s.batch_size > 1:
                continue  # batch norm cannot use one example
            lrs.append(optimizer.param_groups[0]["lr"])
            losses.append(float(s.train_step(model, optimizer, x, y, s.loss)))
            if scheduler is not None and s.schedule_per == "step":
                step_scheduler(scheduler, losses[-1])
        if scheduler is not None and s.schedule_per == "epoch":
            step_scheduler(scheduler, losses[-1])
        if epoch < MAX_EVALUATIONS:
            val.append(float(s.evaluate(model, val_loader)))
    return {"train_loss": losses, "lr": lrs, "val": val, "best_state": None}


def run_training(s: Setup, *, seed: int | None = None, augmented: bool = True, zeros: bool = False) -> ShortRun:
    """A new model through the user's `fit`; zeros: instead of the inputs."""
    seed = s.seed if seed is None else seed
    model = s.new_model(seed)
    run = ShortRun(model, {n: t.detach().clone() for n, t in model.state_dict().items()}, s.epochs)
    recorder = _Recorder(s, run)

    def count(batch: Any) -> int:
        return len(targets_of(s.form.split(batch)[1]))

    train_loader = _loader(s, seed, s.training_set(augmented, zeros), s.shuffle).record("train", recorder.batch, count)
    val_loader = _loader(s, seed, s.validation_set(zeros), False).record("val", recorder.batch, count)
    if s.fit is None and s.schedule is None:
        affordable = MAX_EXAMPLES // len(s.short_run_index)
        run.epochs = max(s.epochs, min(-(-MIN_STEPS // len(train_loader)), affordable))
    optimizer = s.optimizer(model)
    scheduler = s.schedule(optimizer, len(train_loader), run.epochs) if s.schedule else None
    hooks = recorder.hooks(optimizer)
    try:
        with seeded(seed, "train"):
            history = _history(s, model, optimizer, scheduler, train_loader, val_loader, run.epochs)
    finally:
        for hook in hooks:
            hook.remove()
    run.losses = [float(v) for v in history.get("train_loss") or []]
    run.lrs = [float(v) for v in history.get("lr") or []]
    run.val = [float(v) for v in history.get("val") or []]
    run.best_state = history.get("best_state")
    return run


def _history(s: Setup, *parts: Any) -> Mapping[str, Any]:
    """Of the user's `fit`, or of the plain loop. Where `fit` gives no losses, those that it computed with the loss."""
    if s.fit is None:
        return default_fit(s, *parts)
    with answers.Computed(s.loss) as computed:
        setup = copy.copy(s)
        setup.loss = computed.loss
        answer = s.fit(setup, *parts)
    history = dict(answer) if isinstance(answer, Mapping) else {}
    return {"train_loss": computed.values} | {name: values for name, values in history.items() if values is not None}


def _loader(s: Setup, seed: int, dataset: MapDataset, shuffle: bool) -> RecordedLoader:
    plain = s.loader(dataset, seed=seed, shuffle=shuffle)
    options: dict[str, Any] = {k: getattr(plain, k) for k in ("batch_size", "collate_fn", "generator")}
    return RecordedLoader(plain.dataset, shuffle=shuffle, **options)


class _Recorder:
    """Writes into a ShortRun what happens in the training."""

    def __init__(self, s: Setup, run: ShortRun):
        self.setup, self.run = s, run
        self.last_loader: list[str] = []
        self.since_batch: set[str] = set()  # layers seen in eval mode since the last batch

    def hooks(self, optimizer: torch.optim.Optimizer) -> list[RemovableHandle]:
        model = self.run.model
        layers = mode_dependent_layers(self.setup, model)
        return [
            optimizer.register_step_pre_hook(self.step),
            on_entry(self.setup, model, self.forward),
            *(layer.register_forward_pre_hook(self.mode_of(name)) for name, layer in layers),
        ]

    def batch(self, name: str, examples: int | None) -> None:
        self.last_loader = [name]
        self.since_batch.clear()
        passes = self.run.examples_per_pass.setdefault(name, [])
        if examples is None:
            passes.append(0)
        else:
            passes[-1] += examples

    def step(self, optimizer: torch.optim.Optimizer, *_) -> None:
        run = self.run
        run.loader_before_step.extend(self.last_loader)
        run.rates.append(max(group["lr"] for group in optimizer.param_groups))
        moved = any(not p.detach().equal(run.initial[n]) for n, p in run.model.named_parameters())
        run.restarts += run.moved and not moved
        run.moved |= moved
        # a forward pass without a step after it was an evaluation, with or without no_grad
        run.in_eval_mode.update(self.since_batch)

    def forward(self, x: Tensor) -> None:
        if torch.is_grad_enabled():
            self.run.batches.add(x.detach().double().sum().item())

    def mode_of(self, name: str) -> Callable:
        def note_mode(module, args):
            if torch.is_grad_enabled() and not module.training:
                self.since_batch.add(name)

        return note_mode


def mode_dependent_layers(s: Setup, model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Layers that behave differently in eval mode, without those of a part that is declared frozen."""
    kinds = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)
    frozen = tuple(s.declare.frozen)
    return [(n, m) for n, m in model.named_modules() if isinstance(m, kinds) and not (frozen and n.startswith(frozen))]


@measured_once
def short_run(s: Setup) -> ShortRun:
    """The training as it is; do not change the model."""
    return run_training(s)


@measured_once
def short_run_on_zeros(s: Setup) -> ShortRun:
    """The training with every input replaced by zeros: the input-independent baseline."""
    return run_training(s, zeros=True)


@measured_once
def model_without_augmentation(s: Setup) -> nn.Module:
    return run_training(s, augmented=False).model
