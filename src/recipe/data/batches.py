"""The splits as they enter the net: in memory, or read from disk as they are needed."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recipe.data.quantiles import Quantiles, few_rows
from recipe.data.splits import read_folds, read_names
from recipe.data.store import Store
from recipe.data.stored_features import FOLDER, StoredFeatures
from recipe.data.streaming import InputsFile, Standardization, StreamedInputs, column_limits, mean_and_std
from recipe.data.tokens import Tokenizer, Words, tokens_of
from recipe.errors import RecipeError
from recipe.files import read_csv
from recipe.inputs.inputs import Inputs
from recipe.inputs.read import EMBEDDINGS, FEATURES, IMAGES, TEXTS
from recipe.metrics.metric import Metric
from recipe.metrics.objective import LOSS, Objective
from recipe.metrics.user_defined import UserFunction
from recipe.tasks.chosen_metric import AUTO, chosen_metric
from recipe.tasks.task import Task


@dataclass(frozen=True)
class Split:
    """One split. x: (N, C, H, W) or (N, F) float32, standardised, in memory or on disk, or tokens (N, L) int64; y: as
    Task.targets. texts: what tokens or features were made of.

    A training part may have soft targets instead: y (N, K), probabilities of each class. folds: of a test split, the
    same examples standardised like each fold of the data. pictures: (N, C, H, W) in 0..1, the images of which x are the
    features.
    """

    x: Tensor | StreamedInputs
    y: Tensor
    ids: list[str]
    folds: tuple["Split", ...] = ()
    texts: tuple[str, ...] = ()
    pictures: StreamedInputs | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def parts(self) -> tuple["Split", ...]:
        """As each fold has it; without folds, the split alone."""
        return self.folds or (self,)

    def to(self, device: str) -> "Split":
        return replace(self, x=self.x.to(device), y=self.y.to(device))


@dataclass(frozen=True)
class Data:
    """The splits, and the mean and standard deviation that restore an input: x * std + mean; images in 0..1.

    With folds, all else is that of the first fold: its validation part is the val split.
    """

    train: Split
    val: Split
    task: Task
    metric: Metric  # that gates, ladders, search and report use beside the loss
    mean: Tensor  # (C, 1, 1), over the training pixels; (F,) over the training rows; (0,) of texts
    std: Tensor
    fingerprint: str
    limits: Tensor | None = None  # (2, F) of a table, standardised: to which its columns are clipped
    columns: tuple[str, ...] = ()  # names of a table's
    window: tuple[int, int] | None = None  # height and width of the part of an image that enters the net; None: all
    objective: Objective = LOSS  # by which trainings are compared on val
    tokenizer: Tokenizer | None = None  # of texts, fitted to train
    features: StoredFeatures | None = None  # of a frozen network, where they are what enters
    folds: tuple["Data", ...] = ()  # of a cross-validation of train and val, each standardised by its own train

    @property
    def kind(self) -> Inputs:
        """Of what enters the network."""
        if self.tokenizer:
            return TEXTS
        if self.features:
            return EMBEDDINGS
        return FEATURES if self.train.x.ndim == 2 else IMAGES

    @cached_property
    def quantiles(self) -> Quantiles:
        """The layer that turns the columns of a table into normal quantiles of its training rows."""
        layer = Quantiles(self.train.x.shape[1]).fit(few_rows(self.train.x))  # type: ignore[arg-type]
        return layer.to(self.train.y.device)

    @cached_property
    def raw(self) -> "Data":
        """Of features: the same data with what the features are of, as `raw_of`."""
        return replace(self, train=self.raw_of(self.train), val=self.raw_of(self.val), folds=())

    def raw_of(self, split: Split) -> Split:
        """A split of features with the images (N, C, H, W) in 0..1, or the tokens (N, L), that they are of as its x."""
        assert self.features
        x = split.pictures if split.pictures is not None else tokens_of(self.features.facts, split.texts)
        return replace(split, x=x.to(str(split.y.device)))

    @property
    def parts(self) -> tuple["Data", ...]:
        """The folds; without any, these data alone."""
        return self.folds or (self,)

    @property
    def actual_held_out(self) -> Tensor:
        """The targets of all validation parts, fold by fold, as `Task.actual`, on the CPU; the first are val's."""
        return torch.cat([part.task.actual(part.val.y.cpu()) for part in self.parts])

    def pictures_of(self, split: Split, index: Tensor) -> Tensor:
        """As `pictures`, of some examples of a split; of features the images that they are of."""
        return self.pictures(split.x[index]) if split.pictures is None else split.pictures[index]

    def pictures(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in 0..1; features as a square of grey, in reading order, from -3 to 3 standard deviations."""
        if x.ndim == 4:
            return (x.cpu() * self.std + self.mean).clamp(0, 1)
        side = math.ceil(math.sqrt(x.shape[1]))
        squares = nn.functional.pad(x.cpu().clamp(-3, 3), (0, side * side - x.shape[1])).reshape(-1, 1, side, side)
        return squares / 6 + 0.5


def load(
    config: dict[str, Any], device: str, *, memory: float = math.inf, workers: int = 0,
    say: Callable[[str], None] = lambda text: None,
    lists: Path = Path("runs/split"), folder: Path = Path("runs/prepare"), metric: str | UserFunction = AUTO,
    folds: bool = False, tokenizer: Tokenizer | None = None, backbone: str = "", embedded: Path = FOLDER,
) -> Data:  # fmt: skip
    """Train and val, standardised per channel or column with the statistics of train; `read_test` reads test.

    Quantities to be predicted are standardised like that, too, and the task can undo it.

    A missing feature gets the mean of its column, which is 0 after standardisation. memory: GiB that the splits may
    take on the device; splits that do not fit stay on disk, the largest first, and `workers` threads read them ahead.
    Neither changes a bit of any value. metric: a name, or a user's function. folds: whether folds.csv is read, and
    each of its folds gets its own standardisation, by the examples that it trains on. tokenizer: of texts; it is fitted
    to train, and in each fold to its own. backbone: name of a frozen network, of which the features in the folder
    `embedded` enter in place of the inputs. Raises RecipeError for a metric that is not of the task.
    """
    store = Store.open(config, folder)
    task = store.task.with_names(read_names(lists))
    train, val = (_listed(lists / f"{name}.csv", task, len(store.inputs)) for name in ("train", "val"))
    others = _other_folds(train, val, lists) if folds else []
    memory /= 1 + len(others)
    texts = [] if store.kind.axes else store.texts()
    features = StoredFeatures.open(backbone, store.fingerprint, embedded, store.window) if backbone else None

    def standardised(train: _Listed, val: _Listed, metric: str | UserFunction, say: Callable[[str], None]) -> Data:
        scaled, listed = task.scaled(train.actual), {"train": train, "val": val}
        if not store.kind.axes and not features:
            return _texts(store, scaled, listed, metric, device, texts, tokenizer or Words())
        return _data(store, features, scaled, listed, metric, device, memory, workers, say)

    data = standardised(train, val, metric, say)
    if not others:
        return data
    # every fold has the metric of the first, whose classes may be a little more even
    same = metric if isinstance(metric, UserFunction) else data.metric.name
    return replace(data, folds=(data, *(standardised(*each, same, lambda text: None) for each in others)))


def _data(
    store: Store, features: StoredFeatures | None, task: Task, listed: dict[str, "_Listed"],
    metric: str | UserFunction, device: str, memory: float, workers: int, say: Callable[[str], None],
) -> Data:  # fmt: skip
    """Train and val, standardised by train; the task is scaled by it already."""
    file = InputsFile(features.values if features else store.inputs)
    scale = _scale(file, listed["train"].rows, store.kind.has_columns or bool(features), workers)
    streamed = {name: StreamedInputs(file, part.rows, scale, device, workers) for name, part in listed.items()}
    in_memory = {name: streamed[name].whole() for name in _fitting(streamed, memory, workers, say)}
    splits = {
        name: Split(
            (streamed | in_memory)[name],
            task.targets(part.actual).to(device),
            part.ids,
            texts=_texts_of(store, part.rows) if features else (),
            pictures=_pictures(store, part.rows) if features else None,
        )
        for name, part in listed.items()
    }
    chosen = chosen_metric(task, splits["train"].y, metric)
    return Data(
        splits["train"], splits["val"], task, chosen, scale.mean, scale.std, store.fingerprint,
        limits=scale.limits, columns=() if features else store.columns, window=None if features else store.window,
        features=features,
    )  # fmt: skip


def _texts_of(store: Store, rows: np.ndarray) -> tuple[str, ...]:
    """None where the inputs are not texts."""
    texts = [] if store.kind.axes else store.texts()
    return tuple(texts[row] for row in rows) if texts else ()


def _pictures(store: Store, rows: np.ndarray) -> StreamedInputs | None:
    """(N, C, H, W) in 0..1, on the CPU; None where the inputs are not images."""
    if not store.kind.has_pixels:
        return None
    file, nothing = InputsFile(store.inputs), torch.zeros(1, 1, 1)
    return StreamedInputs(file, rows, Standardization(_top(file), nothing, nothing + 1, None), "cpu", 0)


def _texts(
    store: Store, task: Task, listed: dict[str, "_Listed"], metric: str | UserFunction, device: str, texts: list[str],
    tokenizer: Tokenizer,
) -> Data:  # fmt: skip
    """Train and val of texts, by the words of train."""
    fitted = tokenizer.fit([texts[row] for row in listed["train"].rows])
    train, val = (_tokens(fitted, texts, listed[name], task, device) for name in ("train", "val"))
    nothing = torch.zeros(0)
    metric_of = chosen_metric(task, train.y, metric)
    return Data(train, val, task, metric_of, nothing, nothing + 1, store.fingerprint, tokenizer=fitted)


def _tokens(tokenizer: Tokenizer, texts: list[str], listed: "_Listed", task: Task, device: str) -> Split:
    chosen = tuple(texts[row] for row in listed.rows)
    x, y = tokenizer.encode(chosen), task.targets(listed.actual)
    return Split(x.to(device), y.to(device), listed.ids, texts=chosen)


def read_test(
    data: Data, config: dict[str, Any], device: str, *, memory: float = math.inf, workers: int = 0,
    say: Callable[[str], None] = lambda text: None,
    lists: Path = Path("runs/split"), folder: Path = Path("runs/prepare"),
) -> Split:  # fmt: skip
    """The test split, prepared like `data`, whose splits in memory count against `memory`. Read it once, and last."""
    if data.folds:
        share = memory / len(data.folds)
        more: dict[str, Any] = {"memory": share, "workers": workers, "say": say, "lists": lists, "folder": folder}
        folds = tuple(read_test(fold, config, device, **more) for fold in data.folds)
        return replace(folds[0], folds=folds)
    store = Store.open(config, folder)
    listed = _listed(lists / "test.csv", data.task, len(store.inputs))
    if data.tokenizer:
        return _tokens(data.tokenizer, store.texts(), listed, data.task, device)
    file = InputsFile(data.features.values if data.features else store.inputs)
    scale = Standardization(_top(file), data.mean, data.std, data.limits)
    streamed = StreamedInputs(file, listed.rows, scale, device, workers)
    taken = sum(p.x.numel() for p in (data.train, data.val) if isinstance(p.x, Tensor))
    fits = _fitting({"test": streamed}, memory - 4 * taken / 2**30, workers, say)
    return Split(
        streamed.whole() if fits else streamed, data.task.targets(listed.actual).to(device), listed.ids,
        texts=_texts_of(store, listed.rows) if data.features else (),
        pictures=_pictures(store, listed.rows) if data.features else None,
    )  # fmt: skip


def _fitting(inputs: dict[str, StreamedInputs], memory: float, workers: int, say: Callable[[str], None]) -> list[str]:
    """The splits that fit into `memory` (GiB), the smallest first; says which do not."""
    gib = {name: 4 * math.prod(x.shape) / 2**30 for name, x in inputs.items()}
    fitting, room = [], memory
    for name in sorted(inputs, key=gib.__getitem__):
        room -= gib[name]
        if room >= 0:
            fitting.append(name)
    if streamed := [f"{name} ({gib[name]:.3g})" for name in inputs if name not in fitting]:
        say(
            f"{' and '.join(streamed)} streamed from disk, {workers} threads reading ahead: the splits take "
            f"{sum(gib.values()):.3g} GiB, conf/runtime/local.yaml grants a memory of {memory:g}"
        )
    return fitting


def _scale(file: InputsFile, rows: np.ndarray, features: bool, workers: int) -> Standardization:
    """The standardisation by mean and standard deviation of the training pixels per channel (C, 1, 1) or column (F,).

    A column without spread, or with fewer than two values, gets the standard deviation 1: its values become 0 instead
    of a rounding error divided by nearly zero.
    """
    mean, std = (m / _top(file).double() for m in mean_and_std(file, rows, features, workers))
    if features:
        plain = Standardization(_top(file), mean.float(), torch.where(std <= 1e-6 * mean.abs(), 1.0, std).float(), None)
        return replace(plain, limits=plain(column_limits(file, rows, workers)))
    return Standardization(_top(file), mean.float()[:, None, None], std.float().clamp_min(1e-6)[:, None, None], None)


def _top(file: InputsFile) -> Tensor:
    """The stored value that becomes 1 before standardisation."""
    return torch.tensor(255.0 if file.dtype == np.uint8 else 1.0)


@dataclass(frozen=True)
class _Listed:
    """The examples of a split: rows of the store, targets as `Task.actual`, and ids."""

    rows: np.ndarray
    actual: Tensor
    ids: list[str]

    def __getitem__(self, which: np.ndarray) -> "_Listed":
        return _Listed(self.rows[which], self.actual[torch.from_numpy(which)], [self.ids[i] for i in which])


def _listed(path: Path, task: Task, count: int) -> _Listed:
    """count: rows of the store."""
    listed = read_csv(path)
    if not listed:
        raise RecipeError(f"{path} lists no example")
    rows = np.array([int(example["row"]) for example in listed])
    if rows.max() >= count:
        raise RecipeError(f"{path} lists row {rows.max()}, but inputs.npy has {count}. Run `dvc repro split`.")
    actual = task.labels.tensor([task.labels.parsed(example["label"]) for example in listed])
    return _Listed(rows, actual, [example["id"] for example in listed])


def _other_folds(train: _Listed, val: _Listed, lists: Path) -> list[tuple[_Listed, _Listed]]:
    """(train, val) of each fold after the first, in the order of the store; empty where folds.csv is."""
    fold_of = dict(read_folds(lists))
    rows, actual = np.concatenate([train.rows, val.rows]), torch.cat([train.actual, val.actual])
    both = _Listed(rows, actual, train.ids + val.ids)[np.argsort(rows, kind="stable")]
    if fold_of and fold_of.keys() != set(both.ids):
        raise RecipeError(f"{lists / 'folds.csv'} lists other examples than train and val. Run `dvc repro split`.")
    of = np.array([fold if (fold := fold_of.get(name)) is not None else -1 for name in both.ids])
    return [(both[np.flatnonzero(of != k)], both[np.flatnonzero(of == k)]) for k in range(1, of.max() + 1)]


def batches(split: Split, index: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(x, y) of each step: the examples index (steps, n) of the split; index is on the CPU."""
    x, on_device = split.x, index.to(split.y.device)
    # six times as fast as y[on_device]
    labels = split.y.index_select(0, on_device.flatten()).view(*on_device.shape, *split.y.shape[1:])
    if isinstance(x, StreamedInputs):
        return zip(x.batches(index), labels, strict=True)
    return zip((x.index_select(0, step) for step in on_device), labels, strict=True)
