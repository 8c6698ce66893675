"""Nearest neighbours among the training examples."""

import torch
from torch import Tensor

from recipe.checks.measurements.batch_capture import has_numeric_inputs
from recipe.checks.measurements.measured_once import measured_once
from recipe.checks.parts import main
from recipe.checks.setup import Setup

MAX_FEATURES = 1024  # in which distances are measured


def feature_vectors(x: Tensor) -> Tensor:
    """(N, at most about 1024 features) that keep similar inputs close: larger images are averaged down."""
    x = x.float()
    if x.ndim == 4 and x[0].numel() > MAX_FEATURES:
        side = max(2, int((MAX_FEATURES / x.shape[1]) ** 0.5))
        x = torch.nn.functional.adaptive_avg_pool2d(x, (min(side, x.shape[2]), min(side, x.shape[3])))
    x = x.flatten(1)
    return x[:, :: -(-x.shape[1] // MAX_FEATURES)] if x.shape[1] > MAX_FEATURES else x


def nearest(queries: Tensor, among: Tensor, k: int = 1, same_rows: bool = False) -> tuple[Tensor, Tensor]:
    """(distances, indices) (N, k) of the nearest neighbours; same_rows: both are the same rows, each left out."""
    distance = torch.cdist(queries, among)
    if same_rows:
        distance.fill_diagonal_(torch.inf)
    return distance.topk(min(k, distance.shape[1] - same_rows), largest=False)


@measured_once
def standardised_vectors(s: Setup) -> tuple[Tensor, Tensor]:
    """(train, val) as feature vectors, each column divided by its standard deviation over train; of tokens, TF-IDF."""
    inputs, of_val = main(s.train_tensors[0]), main(s.val_tensors[0])
    if not has_numeric_inputs(s) and inputs.ndim == 2:
        return _tf_idf(inputs, of_val)
    train, val = feature_vectors(inputs), feature_vectors(of_val)
    width = min(train.shape[1], val.shape[1])
    train, val = train[:, :width], val[:, :width]
    mean, spread = train.mean(0), train.std(0)
    # pixels share a unit; each column of a table has another
    table = inputs.ndim == 2
    spread = spread.clamp_min(1e-3 * spread.max().item() + 1e-12) if table else spread.mean() + 1e-12
    return ((train - mean) / spread).nan_to_num(), ((val - mean) / spread).nan_to_num()


def _tf_idf(train: Tensor, val: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (N, L) as vectors (N, at most `MAX_FEATURES`) of length 1: how often each of the tokens that are in most
    rows of train occurs, weighted by its rarity (Spärck Jones 1972). A token of every row, as padding, has no weight.
    """
    known, token = train.unique(return_inverse=True)
    rows = torch.arange(len(train), device=train.device)[:, None]
    frequency = torch.bincount((rows * len(known) + token).unique() % len(known), minlength=len(known))  # in rows
    chosen = frequency.topk(min(MAX_FEATURES, len(known))).indices
    place = torch.full((len(known) + 1,), len(chosen), device=train.device)  # the last: not among them
    place[chosen] = torch.arange(len(chosen), device=train.device)
    rarity = ((1 + len(train)) / (1 + frequency[chosen])).log()

    def vectors(x: Tensor) -> Tensor:
        at = torch.searchsorted(known, x).clamp_max(len(known) - 1)
        at = torch.where(known[at] == x, at, len(known))
        counts = torch.zeros(len(x), len(chosen) + 1, device=x.device)
        counts.scatter_add_(1, place[at], torch.ones_like(at, dtype=counts.dtype))
        return torch.nn.functional.normalize(counts[:, :-1] * rarity)

    return vectors(train), vectors(val)


@measured_once
def nearest_in_train(s: Setup) -> dict[str, tuple[Tensor, Tensor]]:
    """The five nearest in train: of each training example (itself left out) and of each validation example."""
    train, val = standardised_vectors(s)
    return {"train": nearest(train, train, 5, same_rows=True), "val": nearest(val, train, 5)}
