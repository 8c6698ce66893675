"""What the checks look at: a person's training, as the parts it is made of."""

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate

from recipe import task
from recipe.checks.validate_setup import refuse
from recipe.errors import RecipeError
from recipe.rng import generator, key, seeded
from recipe.train import loop

STEPS = 1500  # at most about so many in one short training
FLOATS = 30_000_000  # numbers of input that a check holds at once: 120 MB of float32


@dataclass(frozen=True)
class Declare:
    """What is meant, and so must not be taken for a mistake. What is declared is checked too.

    In the pipeline `declare: {name: value}` in params.yaml sets it for all stages, and conf/learn.yaml has every name.
    """

    frozen: tuple[str, ...] = ()  # prefixes of parameter names that must not move
    accumulate: int = 1  # train_step calls per step of the optimizer
    mixes_samples: bool = False  # mixup, cutmix, contrastive: an example's loss depends on others of its batch
    causal: bool = False  # outputs at time t depend on inputs up to t alone
    resampled_train: bool = False  # train was balanced or oversampled, val was not
    shared_modules: bool = False  # one layer stands in several places on purpose
    irreducible_noise: bool = False  # the same input has several right targets


class Mapped(Dataset):
    """Some examples of a map-style data set, through a function of (input, target)."""

    def __init__(self, dataset, index, function: Callable):
        self.dataset, self.index, self.function = dataset, list(index), function

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int):
        item = self.dataset[self.index[i]]
        return self.function(item[0], item[1])


@dataclass(eq=False)
class Setup:
    """A supervised training, in the parts that a person's code has anyway.

    Outputs are logits (B, C) with integer targets (B,), (B,) for binary and regression, (B, T, C) for sequences.
    `train`, `val` and `train_augmented` are map-style data sets of (input, target). What is not given is the plain one;
    a person who hands in `train_step`, `evaluate` or `fit` has that code examined.

    Raises RecipeError where a part cannot be used, and says what it must be.
    """

    model: Callable[[], nn.Module]  # a fresh model at each call
    loss: Callable[[Tensor, Tensor], Tensor]  # (outputs, targets) -> mean loss, 0-d
    train: Dataset
    val: Dataset
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    augment: Callable | None = None  # input -> input, train only
    train_augmented: Dataset | None = None  # the same data set as `train`, augmented
    schedule: Callable | None = None  # (optimizer, steps_per_epoch, epochs) -> scheduler
    schedule_per: str = "step"  # or "epoch"
    train_step: Callable | None = None  # (model, optimizer, inputs, targets, loss) -> loss
    evaluate: Callable | None = None  # (model, DataLoader) -> float
    fit: Callable | None = None  # (setup, model, optimizer, scheduler, train_loader, val_loader, epochs) -> history
    batch_size: int = 64
    shuffle: bool = True
    workers: int = 0
    collate: Callable | None = None
    epochs: int = 6
    task: str | None = None  # classification, binary, regression or sequence; told from targets and loss when None
    classes: int | None = None
    groups: tuple | None = None  # (train ids, val ids) that must not meet
    declare: Declare = field(default_factory=Declare)
    waive: Mapping[str, str] = field(default_factory=dict)  # check name -> reason
    seed: int = 0
    most: int = 2000  # examples that a check looks at

    def __post_init__(self):
        refuse(self)
        self.own_fit = self.fit is not None
        self.found = {}  # what `once` has measured
        self.loss_weights = copy.deepcopy(self.loss.state_dict()) if isinstance(self.loss, nn.Module) else {}
        self.train_step = self.train_step or loop.train_step
        self.evaluate = self.evaluate or self.plain_evaluate

    # ---- examples ------------------------------------------------------------------------------------------------

    @cached_property
    def device(self) -> torch.device:
        return next(iter(self.fresh().parameters()), torch.empty(0)).device

    def index(self, dataset, most: int | None = None) -> range:
        """Of at most `most` examples, and no more than fit into memory, drawn evenly over the set."""
        each = max(1, torch.as_tensor(dataset[0][0]).numel())
        most = max(2, min(most or self.most, FLOATS // each))
        return range(0, len(dataset), max(1, -(-len(dataset) // most)))

    @cached_property
    def trained_on(self) -> range:
        """The examples that a short training loads: fewer of them where small batches would make it long."""
        return self.index(self.train, min(self.most, max(300, STEPS * self.batch_size // self.epochs)))

    @cached_property
    def seen(self) -> tuple[Tensor, Tensor]:
        """(inputs, targets) of training examples, without augmentation, on the model's device."""
        return self._arrays(self.train, "train")

    @cached_property
    def unseen(self) -> tuple[Tensor, Tensor]:
        return self._arrays(self.val, "val")

    def _arrays(self, dataset, name: str) -> tuple[Tensor, Tensor]:
        index = self.index(dataset)
        if isinstance(dataset, TensorDataset) and self.collate is None:
            x, y = (t[list(index)] for t in dataset.tensors)
        else:
            x, y = self.collated([dataset[i] for i in index], name)
        return x.to(self.device), y.to(self.device)

    def collated(self, items: list, name: str) -> tuple[Tensor, Tensor]:
        """Raises RecipeError where the examples make no pair of tensors."""
        try:
            x, y = (self.collate or default_collate)([(item[0], item[1]) for item in items])
        except (TypeError, ValueError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0][:200]
            raise RecipeError(f"{name}: its examples make no batch of (inputs, targets): {first}") from None
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            raise RecipeError(
                f"{name}: inputs are a {type(x).__name__} and targets a {type(y).__name__}; both must be tensors."
            )
        return x, y

    @cached_property
    def some(self) -> tuple[Tensor, Tensor]:
        """Up to 512 training examples, drawn evenly; fewer of long sequences."""
        x, y = self.seen
        most = min(512, max(32, 500_000 // max(1, self.shape.numel())))
        index = torch.linspace(0, len(y) - 1, min(most, len(y))).long().to(y.device)
        return x[index], y[index]

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """A few training examples, as many classes among them as possible; of a table, rows that differ."""
        x, y = self.seen
        if x.ndim == 2 and x.is_floating_point():
            _, which = torch.unique(x, dim=0, return_inverse=True)
            first = torch.full((int(which.max()) + 1,), len(x), device=x.device)
            first = first.scatter_reduce(0, which, torch.arange(len(x), device=x.device), "amin").sort().values
            x, y = (x[first], y[first]) if len(first) >= size else (x, y)
        if y.is_floating_point() or y.ndim > 1:
            index = torch.randperm(len(y), generator=generator(self.seed, "batch"))[:size].to(y.device)
        else:
            index = torch.argsort(_rank(y), stable=True)[:size]  # one of each class in turn
        return x[index], y[index]

    # ---- models --------------------------------------------------------------------------------------------------

    def fresh(self, seed: int | None = None) -> nn.Module:
        """A new model in train mode whose weights depend on the seed alone."""
        if isinstance(self.loss, nn.Module):  # a loss with weights of its own starts anew with its model
            self.loss.load_state_dict(self.loss_weights)
            self.loss.zero_grad()
        with seeded(self.seed if seed is None else seed, "init"):
            model = self.model()
            if not isinstance(model, nn.Module):
                raise RecipeError(f"Setup: model() gave a {type(model).__name__}, not an nn.Module.")
            if any(isinstance(p, nn.UninitializedParameter) for p in model.parameters()):
                with torch.no_grad():
                    model.eval()(self.collated([self.train[0], self.train[1]], "train")[0])
        return model.train()

    @cached_property
    def noisy(self) -> nn.Module:
        """A fresh model in eval mode whose weights carry a little noise: a head of zeros hides everything."""
        model = self.fresh()
        chance = torch.Generator().manual_seed(key(self.seed, "noise"))
        with torch.no_grad():
            for p in model.parameters():
                noise = torch.randn(p.shape, generator=chance).to(p)
                p.add_(noise, alpha=0.01 * max(p.abs().mean().item(), 0.01))
        return model.eval()

    def outputs(self, model: nn.Module, x: Tensor) -> Tensor:
        """In eval mode, without gradients, in pieces."""
        model.eval()
        with torch.no_grad():
            return torch.cat([model(part) for part in x.split(256)])

    # ---- the task ------------------------------------------------------------------------------------------------

    @cached_property
    def shape(self) -> torch.Size:
        """Of the outputs for one example."""
        return self.outputs(self.fresh(), self.batch(2)[0]).shape[1:]

    @cached_property
    def kind(self) -> str:
        """The task, as told or as targets and loss show."""
        return self.task or task.tell(torch.Size((2, *self.shape)), self.batch(32)[1], self.loss)

    @property
    def discrete(self) -> bool:
        """Targets are one class of several."""
        return self.kind in ("classification", "sequence")

    @cached_property
    def num_classes(self) -> int:
        """As told, else the number of outputs; 2 where there is one output for two classes."""
        return self.classes or (self.shape[-1] if self.discrete else 2)

    @cached_property
    def threshold(self) -> float:
        """The output above which a binary answer is yes: of probabilities or of logits, as the last operation says."""
        from recipe.checks import loss

        return 0.5 if loss.reach(self).needed else 0.0

    def right(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Whether each target that counts is met; for regression R2, 0-d."""
        return task.right(self.kind, outputs, y, self.threshold if self.kind == "binary" else 0.0)

    def agreement(self, outputs: Tensor, y: Tensor) -> float:
        """Accuracy; for regression the rank correlation: a loss may want a function of the target, as its logarithm."""
        return task.ranks_agree(outputs, y) if self.kind == "regression" else self.score(outputs, y)

    def score(self, outputs: Tensor, y: Tensor) -> float:
        """Accuracy from 0 to 1; for regression R2."""
        return self.right(outputs, y).double().mean().item()

    def plain_evaluate(self, model: nn.Module, loader: DataLoader) -> float:
        """The score over all examples of a loader, in eval mode; leaves the model's modes as they were."""
        modes = {m: m.training for m in model.modules()}
        model.eval()
        with torch.no_grad():
            pairs = [(model(x.to(self.device)), y.to(self.device)) for x, y in loader]
        for module, training in modes.items():
            module.training = training
        return self.score(*(torch.cat(t) for t in zip(*pairs, strict=True)))

    # ---- the training --------------------------------------------------------------------------------------------

    def loader(self, dataset, *, seed: int | None = None, shuffle: bool | None = None, **more) -> DataLoader:
        """As the training loads; no workers, for they change nothing but the time (checks/augmentation.py asks)."""
        options = {"batch_size": self.batch_size, "collate_fn": self.collate} | more
        chance = generator(self.seed if seed is None else seed, "order")
        return DataLoader(dataset, shuffle=self.shuffle if shuffle is None else shuffle, generator=chance, **options)

    def training_set(self, change: Callable | None = None, augmented: bool = True) -> Dataset:
        """What the training loads, limited to what a check looks at; `change` is a function of (input, target)."""
        dataset, augment = self.train, self.augment if augmented else None
        if augmented and self.train_augmented is not None:
            dataset, augment = self.train_augmented, None

        def item(x, y):
            x = augment(x) if augment else x
            return change(x, y) if change else (x, y)

        if change is None and augment is None and len(self.trained_on) == len(dataset):
            return dataset
        return Mapped(dataset, self.trained_on, item)

    def validation_set(self, change: Callable | None = None) -> Dataset:
        index = self.index(self.val)
        return self.val if change is None and len(index) == len(self.val) else Mapped(self.val, index, change or _same)

    def batches(self, seed: int, augmented: bool = True) -> Iterator[tuple[Tensor, Tensor]]:
        """Training batches without end, each epoch in a new order, on the model's device."""
        loader = self.loader(self.training_set(augmented=augmented), seed=seed)
        while True:
            for x, y in loader:
                if len(y) > 1 or len(loader) == 1:  # a last batch of one example is no batch to batch norm
                    yield x.to(self.device), y.to(self.device)

    def trained(self, steps: int, seed: int | None = None) -> tuple[nn.Module, list[float]]:
        """(model, losses) after some calls of the training step."""
        seed = self.seed if seed is None else seed
        model = self.fresh(seed)
        optimizer = self.optimizer_for(model)
        losses = []
        with seeded(seed, "train"):
            for _, (x, y) in zip(range(steps), self.batches(seed), strict=False):
                losses.append(float(self.train_step(model, optimizer, x, y, self.loss)))
        return model, losses

    def optimizer_for(self, model: nn.Module) -> torch.optim.Optimizer:
        """The person's optimizer at the highest rate of its schedule: what a schedule multiplies may be anything."""
        with seeded(self.seed, "optimizer"):
            optimizer = self.optimizer(model)
        for group, rate in zip(optimizer.param_groups, self.peak_rates, strict=False):
            group["lr"] = rate
        return optimizer

    @cached_property
    def peak_rates(self) -> list[float]:
        return [max(rates) for rates in zip(*self.rates, strict=True)] if self.schedule else []

    @cached_property
    def rates(self) -> list[list[float]]:
        """The learning rate of each parameter group at each step of the whole training, by the schedule alone."""
        optimizer = self.optimizer(self.fresh())
        per_epoch = -(-len(self.train) // self.batch_size)
        scheduler = self.schedule(optimizer, per_epoch, self.epochs)
        found = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the optimizer takes no steps here
            for step in range(1, per_epoch * self.epochs + 1):
                found.append([float(group["lr"]) for group in optimizer.param_groups])
                if self.schedule_per == "step" or step % per_epoch == 0:
                    advance(scheduler)
        return found

    @cached_property
    def start_of_training(self) -> tuple[nn.Module, list[float]]:
        """(model, losses) after 30 steps; nobody may change it."""
        return self.trained(30)

    @property
    def started(self) -> nn.Module:
        """The model after 30 steps, in eval mode."""
        return self.start_of_training[0].eval()


def advance(scheduler, metric: float = 0.0) -> None:
    """One step of a scheduler; those that watch a metric are told it."""
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        scheduler.step(metric)
    else:
        scheduler.step()


def once(measure: Callable) -> Callable:
    """Measures something of a set-up once, for all checks that ask."""

    @wraps(measure)
    def measured(s: Setup, *more):
        if (measure, more) not in s.found:
            s.found[measure, more] = measure(s, *more)
        return s.found[measure, more]

    return measured


def _same(x, y):
    return x, y


def _rank(y: Tensor) -> Tensor:
    """How many examples of the same class stand before each one."""
    rank = torch.zeros_like(y)
    for c in y.unique():
        rank[y == c] = torch.arange(int((y == c).sum()), device=y.device)
    return rank
