"""A supervised training in its parts, as the checks examine it."""

import copy
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from recipe.checks import (
    answers,
    batch_form,
    examples,
    loaders,
    of_lightning,
    of_transformers,
    output_form,
    parts,
    preparation,
    target_kinds,
    validate_setup,
)
from recipe.checks.batch_form import BatchForm
from recipe.checks.declare import Declare
from recipe.checks.examples import MapDataset
from recipe.checks.free_outputs import Operation, identity, minimum
from recipe.checks.last_operation import OPERATIONS, LastOperation, name_in_graph, probabilities
from recipe.checks.output_form import OutputForm
from recipe.checks.own_loss import OwnLoss
from recipe.checks.paired_optimizer import PairedOptimizer
from recipe.checks.parts import Parts, Rows
from recipe.checks.preparation import Preparation
from recipe.checks.scheduler import scheduled_rates
from recipe.errors import RecipeError
from recipe.rng import generator, key, seeded
from recipe.train import loop
from recipe.verdict import DoesNotApply

MAX_STEPS = 1500  # of one short training, roughly


@dataclass(eq=False)
class Setup:
    """A supervised training, in the parts that any training code has.

    Outputs are logits (B, C) with integer targets (B,), (B,) for binary and regression, (B, T, C) or (B, C, T) for
    sequences, (B, C, H, W) for segmentation. `train`, `val` and `train_augmented` are map-style data sets, or
    DataLoaders of such. An example is (input, target), each a tensor or a tuple, list or mapping of tensors; or
    (inputs ..., target), where the model takes several; (input, target, weight), where the loss does; a mapping with
    the target among its keys; or an input that is its own target. A part that is not given has a plain default; a
    `train_step`, `evaluate` or `fit` that is given is examined too.

    Raises RecipeError where a part cannot be used, and says what it must be.
    """

    model: Callable[[], nn.Module]  # a new model at each call
    # (outputs, targets) -> mean loss, 0-d; None where the model computes it, as those of transformers
    loss: Any
    train: MapDataset
    val: MapDataset
    optimizer: Callable[[nn.Module], Any]  # model -> optimizer, or (optimizer, scheduler)
    augment: Callable | None = None  # input -> input, train only
    train_augmented: MapDataset | None = None  # the same data set as `train`, augmented
    schedule: Callable | None = None  # (optimizer, steps_per_epoch, epochs) -> scheduler
    schedule_per: str = "step"  # or "epoch"
    # None is replaced in __post_init__
    # (model, optimizer, inputs, targets, loss) -> loss, or a mapping or tuple that holds it, or nothing: `answers`
    train_step: Callable[..., Any] = None  # type: ignore[assignment]
    # (model, DataLoader) -> a number, or a mapping or tuple that holds it
    evaluate: Callable[..., Any] = None  # type: ignore[assignment]
    metric: str | int | None = None  # key or place of the score in the answer of `evaluate`; None: by its name
    # (setup, model, optimizer, scheduler, train_loader, val_loader, epochs) -> history, or nothing
    fit: Callable | None = None
    batch_size: int = 64
    shuffle: bool = True
    workers: int = 0
    collate: Callable | None = None
    epochs: int = 6
    task: str | None = None  # classification, binary, regression or sequence; inferred from targets and loss when None
    classes: int | None = None
    groups: tuple | None = None  # (train ids, val ids) that must not overlap
    declare: Declare = field(default_factory=Declare)
    waive: Mapping[str, str] = field(default_factory=dict)  # check name -> reason
    seed: int = 0
    most: int = 2000  # examples that a check looks at
    tokenizer: Any = None  # of a pretrained network of texts: its own, of transformers or tokenizers
    # key of the targets, or a function batch -> (inputs, targets), where the form is not one of those above
    unpack: str | Callable | None = None
    output: str | int | Callable | None = None  # what the loss takes of what the model gives; None: it is inferred

    def __post_init__(self) -> None:
        loaders.unpack_loaders(self)
        validate_setup.validate_parts(self)
        self.copies_model = (
            False  # each model is a copy of one that may be new: equal weights are no sign of a training
        )
        self.loss_of_model = self.loss is None
        if self.loss is None:
            self.loss = OwnLoss(self._loss_of_model, "the model")
        self.measured: dict[tuple, Any] = {}  # results of `measured_once`
        self.initial_loss_state = copy.deepcopy(self.loss.state_dict()) if isinstance(self.loss, nn.Module) else {}
        self.train_step = (
            self.default_step if self.train_step is None else answers.LossOfStep(self.train_step, self.as_loaded)
        )
        if self.evaluate is None:
            self.evaluate = self.default_evaluate
        else:
            self.evaluate = answers.ScoreOfEvaluation(self.evaluate, self.metric)

    @classmethod
    def from_trainer(cls, trainer: Any, **changes: Any) -> "Setup":
        """Of transformers' Trainer. changes: other parts than its own, as `loss` where `compute_loss` is unusual."""
        s = cls(**(of_transformers.parts_of(trainer) | changes))
        s.copies_model = not trainer.model_init and not getattr(trainer.model, "name_or_path", "")

        def compute() -> tuple[float, Any, Any]:
            x, y = s.batch(8)
            batch = s.form.join(parts.given(x), parts.given(y))
            return *of_transformers.loss_of(trainer, s.new_model(), batch), y

        if s.loss_of_model:
            s.loss = OwnLoss(compute, "compute_loss of the trainer")
        return s

    @classmethod
    def from_lightning(cls, module: Any, datamodule: Any, **changes: Any) -> "Setup":
        """Of a LightningModule and a LightningDataModule, or (train loader, val loader). changes: other parts."""
        made = of_lightning.parts_of(module, datamodule, lambda x, y: s.form.join(x, y))
        s = cls(**(made | changes))
        s.copies_model = "model" not in changes

        def compute() -> tuple[float, Any, Any]:
            x, y = s.batch(8)
            model = s.new_model().eval()
            with torch.no_grad():
                raw = parts.call(model, x)
                value = of_lightning.loss_of(model, s.form.join(parts.given(x), parts.given(y)))
            outputs = raw if isinstance(raw, Tensor) else OutputForm(s.output or output_form.likely(raw)).part(raw)
            return float(value), outputs, y

        if s.loss_of_model:
            s.loss = OwnLoss(compute, "training_step")
        return s

    # ---- examples ------------------------------------------------------------------------------------------------

    @cached_property
    def device(self) -> torch.device:
        return next(iter(self.new_model().parameters()), torch.empty(0)).device

    def index(self, dataset: MapDataset, most: int | None = None) -> range:
        """Evenly spaced indices of the examples that a check looks at."""
        return examples.evenly_spaced(dataset, most or self.most)

    @cached_property
    def short_run_index(self) -> range:
        """The training examples that a short training loads: fewer of them where small batches would make it long."""
        return self.index(self.train, min(self.most, max(300, MAX_STEPS * self.batch_size // self.epochs)))

    @cached_property
    def train_tensors(self) -> tuple[Any, Any]:
        """(inputs, targets) of training examples, without augmentation, on the model's device: tensors, or Parts."""
        return self._tensors(self.train, "train")

    @cached_property
    def val_tensors(self) -> tuple[Any, Any]:
        return self._tensors(self.val, "val")

    def _tensors(self, dataset: MapDataset, name: str) -> tuple[Any, Any]:
        index = self.index(dataset)
        if isinstance(dataset, TensorDataset) and self.collate is None:
            return self.unpacked([t[list(index)] for t in dataset.tensors])
        return self.unpacked(examples.collated([dataset[i] for i in index], self.collate, name))

    @cached_property
    def form(self) -> BatchForm:
        """How a batch holds inputs and targets."""
        if self.unpack is not None:
            return batch_form.by_key(self.unpack) if isinstance(self.unpack, str) else batch_form.unpacking(self.unpack)
        with seeded(self.seed, "init"):
            batch = examples.collated([self.train[0], self.train[1]], self.collate, "train")
            return batch_form.infer(batch, lambda: self.model().forward, self.loss)

    def unpacked(self, batch: Any) -> tuple[Any, Any]:
        """(inputs, targets) of a batch of the user's, on the model's device: tensors, or Parts.

        Raises RecipeError that names the part where there are none.
        """
        x, y = self.form.split(batch)
        inputs, targets = parts.inputs_of(x), parts.targets_of(y, first=self.form.weighted)
        for name, rows in (("inputs", inputs), ("targets", targets)):
            if not isinstance(rows, Tensor) and not rows.tensors:
                raise RecipeError(
                    f"Setup: {name} are a {type(x if name == 'inputs' else y).__name__} without a tensor that has a "
                    "row per example. A loop over batches of another kind can be watched as it is: recipe.watch."
                )
        inputs, targets = inputs.to(self.device), targets.to(self.device)
        if self.preparation is not None:
            inputs = self.preparation.apply(cast(Tensor, inputs))
            targets = targets.float() if isinstance(targets, Tensor) and targets.is_floating_point() else targets
        return inputs, targets

    @cached_property
    def preparation(self) -> Preparation | None:
        """What the user's step does to inputs that the model does not take as they are; None where it takes them."""
        with seeded(self.seed, "prepared"):
            x, y = self._batch_as_loaded(2)
            if not isinstance(x, Tensor) or x.dtype not in preparation.RAW:
                return None
            try:
                with torch.no_grad():
                    self.new_model().eval()(x.to(self.device))
                return None
            except Exception:  # of a type that the model does not take
                if x.dtype == torch.float64:
                    return preparation.cast_only(x)
            if not isinstance(self.train_step, answers.LossOfStep):
                return None
            x, y = (part.to(self.device) for part in self._batch_as_loaded(32))
            entered: list[Any] = []
            model = self.new_model()
            hook = model.register_forward_pre_hook(lambda _, args: entered.extend(args[:1]))
            try:
                self.train_step.step(model, self._first_optimizer(model), x, parts.given(y), self.loss)
            except Exception:  # of a step that fails, try_one_batch reports that the model takes no such inputs
                return None
            finally:
                hook.remove()
        return preparation.measured(x, entered[0]) if entered and isinstance(entered[0], Tensor) else None

    def _batch_as_loaded(self, size: int) -> tuple[Any, Any]:
        index = self.index(self.train, size)
        x, y = self.form.split(examples.collated([self.train[i] for i in index], self.collate, "train"))
        return x, parts.targets_of(y)

    def _first_optimizer(self, model: nn.Module) -> Any:
        answer: Any = self.optimizer(model)
        return answer[0] if isinstance(answer, tuple | list) else answer

    def as_loaded(self, x: Any) -> Any:
        """Inputs as user code gets them: before any preparation of its own."""
        if isinstance(x, Tensor) and self.preparation is not None:
            return self.preparation.undo(x)
        return parts.given(x)

    def example(self, dataset: MapDataset, index: int) -> tuple[Any, Any]:
        """(input, target) as the data set has them. Raises DoesNotApply where only `collate` or `unpack` knows."""
        try:
            return self.form.split(dataset[index])
        except Exception:  # the user's `unpack` may fail in any way on one example
            raise DoesNotApply("an example has no target before it is collated") from None

    @cached_property
    def sample(self) -> tuple[Any, Any]:
        """Up to 512 training examples, evenly spaced; fewer of long sequences."""
        x, y = self.train_tensors
        most = min(512, max(32, 500_000 // max(1, self._main_output.shape[1:].numel())))
        index = torch.linspace(0, len(y) - 1, min(most, len(y))).long().to(y.device)
        return x[index], y[index]

    def batch(self, size: int) -> tuple[Any, Any]:
        """A few training examples with as many classes among them as possible; of a table, rows that differ."""
        return examples.varied_batch(*self.train_tensors, size, self.seed)

    # ---- models --------------------------------------------------------------------------------------------------

    def new_model(self, seed: int | None = None) -> nn.Module:
        """A new model in train mode whose weights depend only on the seed."""
        if isinstance(self.loss, nn.Module):  # a loss with weights starts anew with its model
            self.loss.load_state_dict(self.initial_loss_state)
            self.loss.zero_grad()
        with seeded(self.seed if seed is None else seed, "init"):
            model = self.model()
            if not isinstance(model, nn.Module):
                raise RecipeError(f"Setup: model() gave a {type(model).__name__}, not an nn.Module.")
            if any(isinstance(p, nn.UninitializedParameter) for p in model.parameters()):
                with torch.no_grad():
                    batch = examples.collated([self.train[0], self.train[1]], self.collate, "train")
                    parts.call(model.eval(), parts.inputs_of(self.form.split(batch)[0]))
        return model.train()

    @cached_property
    def perturbed_model(self) -> nn.Module:
        """A new model in eval mode with a little noise on its weights: a head of zeros would hide everything."""
        model = self.new_model()
        random = torch.Generator().manual_seed(key(self.seed, "noise"))
        with torch.no_grad():
            for p in model.parameters():
                noise = torch.randn(p.shape, generator=random).to(p)
                p.add_(noise, alpha=0.01 * max(p.abs().mean().item(), 0.01))
        return model.eval()

    def forward(self, model: nn.Module, x: Rows) -> Any:
        """The outputs, a tensor with classes last, or Parts where the loss needs several tensors."""
        return self.output_form.seen(parts.call(model, x), len(x))

    def outputs(self, model: nn.Module, x: Rows) -> Any:
        """In eval mode, without gradients, in pieces."""
        model.eval()
        with torch.no_grad():
            return parts.joined([self.forward(model, part) for part in x.split(256)])

    def loss_of(self, outputs: Any, targets: Any) -> Tensor:
        """The user's loss of outputs as `forward` gives them."""
        return self._loss(self.output_form.of_user(outputs), parts.given(targets))

    def _loss(self, outputs: Any, targets: Any) -> Tensor:
        return self.loss(outputs, *targets) if self.form.weighted else self.loss(outputs, targets)

    def default_step(self, model: nn.Module, optimizer: torch.optim.Optimizer, x: Rows, y: Any, loss: Any) -> Tensor:
        """Forward, backward, step; returns the loss before the step."""
        own, spread = self.loss_of_model, self.form.weighted
        form = OutputForm("loss") if own else self.output_form

        def forward(inputs: Rows) -> Any:
            return form.for_loss(self._with_targets(model, inputs, y) if own else parts.call(model, inputs))

        def computed(outputs: Any, targets: Any) -> Any:
            if own:
                return outputs
            return loss(outputs, *parts.given(targets)) if spread else loss(outputs, parts.given(targets))

        return loop.train_step(cast(nn.Module, forward), optimizer, cast(Tensor, x), y, computed)

    # ---- the task ------------------------------------------------------------------------------------------------

    def _loss_of_model(self) -> tuple[float, Any, Any]:
        """(the loss that the model computes, its outputs, the targets) for some examples."""
        x, y = self.batch(8)
        if self.form.key is None:
            raise RecipeError("Setup: loss is None, and the batch is no mapping that has the targets for the model.")
        with torch.no_grad():
            raw = self._with_targets(self.new_model().eval(), x, y)
            value = OutputForm("loss").part(raw)
        return float(value), OutputForm(self.output or output_form.likely(raw)).part(raw), y

    def _with_targets(self, model: nn.Module, x: Rows, y: Any) -> Any:
        return parts.call(model, parts.inputs_of(self.form.join(parts.given(x), parts.given(y))))

    @cached_property
    def output_form(self) -> OutputForm:
        """What of the outputs the loss takes, and in which order. Raises what the model raises on its inputs."""
        x, y = self.batch(2)
        with torch.no_grad():
            raw = parts.call(self.new_model().eval(), x)
        return output_form.infer(raw, parts.given(y), self._loss, self.output)

    @cached_property
    def _main_output(self) -> Tensor:
        return parts.main(self.outputs(self.new_model(), self.batch(2)[0]))

    @cached_property
    def output_shape(self) -> torch.Size:
        """Of the outputs for one example. Raises DoesNotApply where the loss needs several tensors."""
        outputs = self.outputs(self.new_model(), self.batch(2)[0])
        if not isinstance(outputs, Tensor):
            raise DoesNotApply("the outputs have several parts")
        return outputs.shape[1:]

    @cached_property
    def kind(self) -> str:
        """The task, as given or as inferred from targets and loss. Raises DoesNotApply where it is none of these."""
        if self.classes and self.task in (None, "classification") and 1 < self.output_shape.numel() < self.classes:
            raise DoesNotApply("there are fewer outputs than classes, as of grades in an order")
        if self.task:
            return self.task
        shape, y = torch.Size((2, *self.output_shape)), self.batch(32)[1]
        labels = parts.main(y)
        kind = target_kinds.infer(shape, labels, lambda z, _: self.loss_of(z, y))
        if kind == "sequence" and shape[1:-1] != labels.shape[1:]:
            raise DoesNotApply("outputs and targets are sequences of different lengths")
        if kind == "regression" and not labels.is_floating_point() and shape.numel() // 2 != labels[0].numel():
            raise DoesNotApply("the targets are neither numbers nor classes of the outputs")
        compares = isinstance(self.train_tensors[0], Parts) and self.train_tensors[0].place is None
        if kind == "regression" and compares and set(labels.unique()[:3].tolist()) <= {0, 1}:
            raise DoesNotApply("the outputs may be distances: targets of 0 and 1 say which parts of an input are alike")
        return kind

    @property
    def discrete(self) -> bool:
        """Targets are one class of several."""
        return self.kind in ("classification", "sequence")

    @property
    def one_label_per_example(self) -> bool:
        """False where the kind of task is not known."""
        try:
            return self.kind in ("classification", "binary") and parts.main(self.train_tensors[1]).ndim == 1
        except DoesNotApply:
            return False

    @cached_property
    def num_classes(self) -> int:
        """As given, else the number of outputs; 2 where there is one output for two classes."""
        return self.classes or (self.output_shape[-1] if self.discrete else 2)

    @cached_property
    def last_operation(self) -> LastOperation:
        """The model's last operation, and whether the loss needs its result."""
        with torch.enable_grad():
            name = name_in_graph(parts.main(self.forward(self.new_model(), self.batch(32)[0])))
        if name not in OPERATIONS:
            name = self._outputs_probabilities()
        if name not in OPERATIONS:
            return LastOperation(name, identity, False)
        operation = OPERATIONS[name]
        return LastOperation(name, operation, not self._loss_accepts(identity) and self._loss_accepts(operation))

    def _outputs_probabilities(self) -> str:
        """Softmax or log-softmax where outputs are distributions whatever the input and the weights; else ""."""
        x = self.batch(32)[0]
        with torch.no_grad():
            models = (self.perturbed_model, self.new_model().eval())
            z = torch.cat([parts.main(self.forward(model, x)) for model in models]).double()
        try:
            return probabilities(z) if self.discrete and z.ndim >= 2 else ""
        except DoesNotApply:
            return ""

    def _loss_accepts(self, operation: Operation) -> bool:
        """The loss has a minimum on outputs after this operation, and predicts the targets there."""
        y = self.batch(32)[1]
        try:
            lowest = minimum(self.loss_of, y, self.output_shape, seed=self.seed, through=operation)
        except (RuntimeError, ValueError):  # BCELoss refuses what lies outside 0..1
            return False
        y = parts.main(y)
        if self.kind == "regression":
            return not lowest.unbounded and target_kinds.ranks_agree(lowest.outputs, y) > 0.9
        threshold = 0.5 if self.kind == "binary" and lowest.outputs.min() >= 0 else 0.0
        correct = target_kinds.correct(self.kind, *self._aligned(lowest.outputs, y), threshold)
        return not lowest.unbounded and correct.double().mean().item() > 0.9

    @cached_property
    def shifts_targets(self) -> bool:
        """The targets are the inputs, and the loss compares outputs with the next ones, as that of a language model."""
        x, y = self.batch(32)
        try:
            if self.kind != "sequence" or not isinstance(y, Tensor) or parts.main(x).shape != y.shape:
                return False
        except DoesNotApply:
            return False
        counted = (y >= 0) & (y < self.output_shape[-1])
        if not (parts.main(x) == y)[counted].double().mean() > 0.99:
            return False
        right = 8.0 * torch.nn.functional.one_hot(y.clamp(0, self.output_shape[-1] - 1), self.output_shape[-1])
        return bool(self.loss_of(right.roll(-1, 1), y) < self.loss_of(right, y))

    def _aligned(self, outputs: Rows, y: Rows) -> tuple[Tensor, Tensor]:
        """Each output with what it predicts."""
        z, targets = parts.main(outputs), parts.main(y)
        return (z[:, :-1], targets[:, 1:]) if self.shifts_targets else (z, targets)

    def score(self, outputs: Rows, y: Rows) -> float:
        """Accuracy from 0 to 1, padding left out; for regression R2."""
        outputs, y = self._aligned(outputs, y)
        threshold = 0.5 if self.kind == "binary" and self.last_operation.needed else 0.0  # probabilities or logits
        return target_kinds.correct(self.kind, outputs, y, threshold).double().mean().item()

    def default_evaluate(self, model: nn.Module, loader: DataLoader) -> float:
        """The score over all examples of a loader, in eval mode; leaves the model's modes as they were.

        Where outputs are neither right nor wrong, minus the loss of all examples at once.
        """
        modes = {m: m.training for m in model.modules()}
        model.eval()
        with torch.no_grad():
            batches = [self.unpacked(batch) for batch in loader]
            pairs = [(self.forward(model, x), y) for x, y in batches]
        for module, training in modes.items():
            module.training = training
        outputs, y = (parts.joined(part) for part in zip(*pairs, strict=True))
        try:
            return self.score(outputs, y) if self.kind else 0.0
        except DoesNotApply:
            return -self.loss_of(outputs, y).item()

    # ---- the training --------------------------------------------------------------------------------------------

    def loader(
        self, dataset: MapDataset, *, seed: int | None = None, shuffle: bool | None = None, **more: Any
    ) -> DataLoader:
        """As the training loads; without workers, which change only the time (checks/augmentation.py examines them)."""
        options = {"batch_size": self.batch_size, "collate_fn": self.collate} | more
        order = generator(self.seed if seed is None else seed, "order")
        shuffle = self.shuffle if shuffle is None else shuffle
        if type(dataset) is TensorDataset and options["collate_fn"] is None:
            dataset, options["collate_fn"] = examples.WholeBatches(*dataset.tensors), list
        elif isinstance(dataset, examples.MadeBatches):
            options["collate_fn"] = operator.itemgetter(0)
        return DataLoader(cast(Dataset, dataset), shuffle=shuffle, generator=order, **options)

    def training_set(self, augmented: bool = True, zeros: bool = False) -> MapDataset:
        """What the training loads, limited to what a check looks at; zeros: instead of the inputs."""
        dataset, augment = self.train, self.augment if augmented else None
        if augmented and self.train_augmented is not None:
            dataset, augment = self.train_augmented, None
        return self._part(dataset, self.short_run_index, augment, zeros)

    def validation_set(self, zeros: bool = False) -> MapDataset:
        return self._part(self.val, self.index(self.val), None, zeros)

    def _part(self, dataset: MapDataset, index: range, augment: Callable | None, zeros: bool) -> MapDataset:
        if self.form.pair and isinstance(self.train_tensors[0], Tensor) and self._reads_tensors(dataset):
            return examples.part(dataset, index, augment, zeros)

        def read(places: list[int]) -> Any:
            rows = [dataset[index[i]] for i in places]
            if augment is not None:
                split = [self.form.split(row) for row in rows]
                rows = [self.form.join(augment(x), y) for x, y in split]
            batch = examples.collated(rows, self.collate, "train")
            if not zeros:
                return batch
            x, y = self.unpacked(batch)
            return self.form.join(parts.given(parts.blind(x)), parts.given(y))

        return examples.MadeBatches(len(index), read)

    def _reads_tensors(self, dataset: MapDataset) -> bool:
        """Inputs can be made zero before they are collated: `collate` makes no tensors of lists or mappings."""
        if self.collate is None:
            return True
        with seeded(self.seed, "prepared"):
            example = dataset[0]
        return isinstance(example, tuple | list) and isinstance(example[0], Tensor | np.ndarray)

    def loader_of(self, x: Rows, y: Rows, batch_size: int) -> DataLoader:
        """A loader of these examples, in batches of the user's form."""
        if self.form.pair and isinstance(x, Tensor) and isinstance(y, Tensor):
            return DataLoader(TensorDataset(self.as_loaded(x), y), batch_size=batch_size)

        def read(places: list[int]) -> Any:
            return self.form.join(*(parts.given(part[torch.tensor(places, device=part.device)]) for part in (x, y)))

        made = examples.MadeBatches(len(y), read)
        return DataLoader(made, batch_size=batch_size, collate_fn=operator.itemgetter(0))

    def batches(self, seed: int, augmented: bool = True) -> Iterator[tuple[Any, Any]]:
        """Training batches without end, each epoch in a new order, on the model's device."""
        loader = self.loader(self.training_set(augmented=augmented), seed=seed)
        while True:
            for batch in loader:
                x, y = self.unpacked(batch)
                # batch norm cannot use a last batch of one example
                if len(y) > 1 or len(loader) == 1 or self.batch_size == 1:
                    yield x, y

    def train_for(self, steps: int, seed: int | None = None) -> tuple[nn.Module, list[float]]:
        """(model, losses) after some calls of the training step."""
        seed = self.seed if seed is None else seed
        model = self.new_model(seed)
        optimizer = self.optimizer_for(model)
        losses = []
        with seeded(seed, "train"):
            for _, (x, y) in zip(range(steps), self.batches(seed), strict=False):
                losses.append(float(self.train_step(model, optimizer, x, y, self.loss)))
        return model, losses

    def optimizer_for(self, model: nn.Module) -> torch.optim.Optimizer:
        """The user's optimizer at the highest rate of its schedule, which may multiply any initial rate."""
        with seeded(self.seed, "optimizer"):
            optimizer = self.optimizer(model)
        for group, rate in zip(optimizer.param_groups, self.peak_rates, strict=False):
            group["lr"] = rate
        return optimizer

    def pair_optimizer(self, model: nn.Module) -> None:
        """Where `optimizer` gives an optimizer and its scheduler, takes them as two parts of the Setup.

        Raises RecipeError where it gives no optimizer.
        """
        with seeded(self.seed, "optimizer"):
            answer: Any = self.optimizer(model)
        pair = isinstance(answer, tuple | list) and len(answer) == 2 and hasattr(answer[1], "step")
        pair = pair and not isinstance(answer[1], torch.optim.Optimizer)
        if not isinstance(answer[0] if pair else answer, torch.optim.Optimizer):
            raise RecipeError(
                f"Setup: optimizer gave a {type(answer).__name__}; it must give an optimizer, or (optimizer, "
                "scheduler). A loop with several optimizers can be watched: recipe.watch."
            )
        if pair:
            both = PairedOptimizer(cast(Any, self.optimizer))
            self.optimizer, self.schedule = both.optimizer, both.schedule

    @cached_property
    def peak_rates(self) -> list[float]:
        """The highest scheduled learning rate of each parameter group; [] without a schedule."""
        return [max(rates) for rates in zip(*self.scheduled_rates, strict=True)]

    @cached_property
    def scheduled_rates(self) -> list[list[float]]:
        """The learning rate of each parameter group at each step of the whole training; [] without a schedule."""
        if self.schedule is None:
            return []
        optimizer = self.optimizer(self.new_model())
        per_epoch = -(-len(self.train) // self.batch_size)
        return scheduled_rates(
            optimizer, self.schedule(optimizer, per_epoch, self.epochs),
            steps_per_epoch=per_epoch, epochs=self.epochs, per_step=self.schedule_per == "step",
        )  # fmt: skip

    @cached_property
    def early_training(self) -> tuple[nn.Module, list[float]]:
        """(model, losses) after 30 steps; do not change the model."""
        return self.train_for(30)
