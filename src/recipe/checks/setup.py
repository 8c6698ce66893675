"""A supervised training in its parts, as the checks examine it."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from recipe.checks import answers, examples, loaders, target_kinds, validate_setup
from recipe.checks.declare import Declare
from recipe.checks.examples import MapDataset
from recipe.checks.free_outputs import Operation, identity, minimum
from recipe.checks.last_operation import OPERATIONS, LastOperation, name_in_graph, probabilities
from recipe.checks.scheduler import scheduled_rates
from recipe.errors import RecipeError
from recipe.rng import generator, key, seeded
from recipe.train import loop

MAX_STEPS = 1500  # of one short training, roughly


@dataclass(eq=False)
class Setup:
    """A supervised training, in the parts that any training code has.

    Outputs are logits (B, C) with integer targets (B,), (B,) for binary and regression, (B, T, C) for sequences.
    `train`, `val` and `train_augmented` are map-style data sets of (input, target), or DataLoaders of such. A part that
    is not given has a plain default; a `train_step`, `evaluate` or `fit` that is given is examined too.

    Raises RecipeError where a part cannot be used, and says what it must be.
    """

    model: Callable[[], nn.Module]  # a new model at each call
    loss: Callable[[Tensor, Tensor], Tensor]  # (outputs, targets) -> mean loss, 0-d
    train: MapDataset
    val: MapDataset
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
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

    def __post_init__(self) -> None:
        loaders.unpack_loaders(self)
        validate_setup.validate_parts(self)
        self.measured: dict[tuple, Any] = {}  # results of `measured_once`
        self.initial_loss_state = copy.deepcopy(self.loss.state_dict()) if isinstance(self.loss, nn.Module) else {}
        self.train_step = loop.train_step if self.train_step is None else answers.LossOfStep(self.train_step)
        if self.evaluate is None:
            self.evaluate = self.default_evaluate
        else:
            self.evaluate = answers.ScoreOfEvaluation(self.evaluate, self.metric)

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
    def train_tensors(self) -> tuple[Tensor, Tensor]:
        """(inputs, targets) of training examples, without augmentation, on the model's device."""
        return self._tensors(self.train, "train")

    @cached_property
    def val_tensors(self) -> tuple[Tensor, Tensor]:
        return self._tensors(self.val, "val")

    def _tensors(self, dataset: MapDataset, name: str) -> tuple[Tensor, Tensor]:
        index = self.index(dataset)
        if isinstance(dataset, TensorDataset) and self.collate is None:
            x, y = (t[list(index)] for t in dataset.tensors)
        else:
            x, y = examples.collated([dataset[i] for i in index], self.collate, name)
        return x.to(self.device), y.to(self.device)

    @cached_property
    def sample(self) -> tuple[Tensor, Tensor]:
        """Up to 512 training examples, evenly spaced; fewer of long sequences."""
        x, y = self.train_tensors
        most = min(512, max(32, 500_000 // max(1, self.output_shape.numel())))
        index = torch.linspace(0, len(y) - 1, min(most, len(y))).long().to(y.device)
        return x[index], y[index]

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
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
                    model.eval()(examples.collated([self.train[0], self.train[1]], self.collate, "train")[0])
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

    def outputs(self, model: nn.Module, x: Tensor) -> Tensor:
        """In eval mode, without gradients, in pieces."""
        model.eval()
        with torch.no_grad():
            return torch.cat([model(part) for part in x.split(256)])

    # ---- the task ------------------------------------------------------------------------------------------------

    @cached_property
    def output_shape(self) -> torch.Size:
        """Of the outputs for one example."""
        return self.outputs(self.new_model(), self.batch(2)[0]).shape[1:]

    @cached_property
    def kind(self) -> str:
        """The task, as given or as inferred from targets and loss."""
        return self.task or target_kinds.infer(torch.Size((2, *self.output_shape)), self.batch(32)[1], self.loss)

    @property
    def discrete(self) -> bool:
        """Targets are one class of several."""
        return self.kind in ("classification", "sequence")

    @property
    def one_label_per_example(self) -> bool:
        return self.kind in ("classification", "binary") and self.train_tensors[1].ndim == 1

    @cached_property
    def num_classes(self) -> int:
        """As given, else the number of outputs; 2 where there is one output for two classes."""
        return self.classes or (self.output_shape[-1] if self.discrete else 2)

    @cached_property
    def last_operation(self) -> LastOperation:
        """The model's last operation, and whether the loss needs its result."""
        with torch.enable_grad():
            name = name_in_graph(self.new_model()(self.batch(32)[0]))
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
            z = torch.cat([self.perturbed_model(x), self.new_model().eval()(x)]).double()
        return probabilities(z) if self.discrete and z.ndim >= 2 else ""

    def _loss_accepts(self, operation: Operation) -> bool:
        """The loss has a minimum on outputs after this operation, and predicts the targets there."""
        y = self.batch(32)[1]
        try:
            lowest = minimum(self.loss, y, self.output_shape, seed=self.seed, through=operation)
        except (RuntimeError, ValueError):  # BCELoss refuses what lies outside 0..1
            return False
        if self.kind == "regression":
            return not lowest.unbounded and target_kinds.ranks_agree(lowest.outputs, y) > 0.9
        threshold = 0.5 if self.kind == "binary" and lowest.outputs.min() >= 0 else 0.0
        correct = target_kinds.correct(self.kind, lowest.outputs, y, threshold)
        return not lowest.unbounded and correct.double().mean().item() > 0.9

    def score(self, outputs: Tensor, y: Tensor) -> float:
        """Accuracy from 0 to 1, padding left out; for regression R2."""
        threshold = 0.5 if self.kind == "binary" and self.last_operation.needed else 0.0  # probabilities or logits
        return target_kinds.correct(self.kind, outputs, y, threshold).double().mean().item()

    def default_evaluate(self, model: nn.Module, loader: DataLoader) -> float:
        """The score over all examples of a loader, in eval mode; leaves the model's modes as they were."""
        modes = {m: m.training for m in model.modules()}
        model.eval()
        with torch.no_grad():
            pairs = [(model(x.to(self.device)), y.to(self.device)) for x, y in loader]
        for module, training in modes.items():
            module.training = training
        outputs, y = (torch.cat(part) for part in zip(*pairs, strict=True))
        return self.score(outputs, y)

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
        return DataLoader(cast(Dataset, dataset), shuffle=shuffle, generator=order, **options)

    def training_set(self, augmented: bool = True, zeros: bool = False) -> MapDataset:
        """What the training loads, limited to what a check looks at; zeros: instead of the inputs."""
        dataset, augment = self.train, self.augment if augmented else None
        if augmented and self.train_augmented is not None:
            dataset, augment = self.train_augmented, None
        return examples.part(dataset, self.short_run_index, augment, zeros)

    def validation_set(self, zeros: bool = False) -> MapDataset:
        return examples.part(self.val, self.index(self.val), None, zeros)

    def batches(self, seed: int, augmented: bool = True) -> Iterator[tuple[Tensor, Tensor]]:
        """Training batches without end, each epoch in a new order, on the model's device."""
        loader = self.loader(self.training_set(augmented=augmented), seed=seed)
        while True:
            for x, y in loader:
                # batch norm cannot use a last batch of one example
                if len(y) > 1 or len(loader) == 1 or self.batch_size == 1:
                    yield x.to(self.device), y.to(self.device)

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
