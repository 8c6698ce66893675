"""The targets alone: in range, none missing, as frequent in val as in train, and not among the inputs."""

from math import exp

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from recipe.checks.examples import MapDataset, same
from recipe.checks.measurements.distributions import kolmogorov_smirnov
from recipe.checks.parts import main
from recipe.checks.setup import Setup
from recipe.checks.target_columns import target_columns
from recipe.rng import seeded
from recipe.verdict import FAIL, PASS, Verdict, check, exactly, skip


def _targets(s: Setup, dataset: MapDataset, examined: Tensor) -> Tensor:
    """All targets of a TensorDataset, else the `examined` ones."""
    return dataset.tensors[1] if isinstance(dataset, TensorDataset) and s.form.pair else main(examined)


@check(source="open-edge-platform/geti#2736; pyg-team/pytorch_geometric#441")
def labels_are_in_range(s: Setup) -> Verdict:
    """Every label is one of 0..C-1, and every class occurs in train; of several labels, each is 0 or 1.

    Labels count from 1 instead of 0, the head has a class too many, or a class was lost on the way. The value counts
    classes without an example and labels out of range.
    """
    y = _targets(s, s.train, s.train_tensors[1]).cpu()
    if s.kind == "regression":
        return skip("the targets are numbers")
    if s.kind == "binary":
        return exactly(int(((y != 0) & (y != 1)).sum()) + (y.unique().numel() < 2), 0)
    every = torch.cat([y.flatten(), _targets(s, s.val, s.val_tensors[1]).flatten().cpu()])
    # a label below zero marks padding in a sequence; as a class it is a mistake
    outside = int(((every >= s.num_classes) | ((every < 0) & (s.kind == "classification"))).sum())
    if s.kind == "sequence":  # a vocabulary may be larger than what occurs
        return exactly(outside, 0)
    missing = s.num_classes - y[(y >= 0) & (y < s.num_classes)].unique().numel()
    if missing and len(y) < len(s.train) and (1 - 0.1 / s.num_classes) ** len(y) > 1e-6:
        missing = 0  # too few examples were examined to show that a class is missing
    return exactly(outside + missing, 0)


@check(source="Recipe 1, become one with the data")
def targets_stay(s: Setup) -> Verdict:
    """A training example has the same target each time it is read.

    An index drawn at random inside `__getitem__`, separately for input and target; labels that are sampled anew. The
    value counts examples whose target changes.
    """
    with seeded(s.seed, "targets twice"):
        index = list(s.index(s.train))[:64]
        pairs = [(s.example(s.train, i)[1], s.example(s.train, i)[1]) for i in index]
    return exactly(sum(not same(a, b) for a, b in pairs), 0)


@check(source="Recipe 1, become one with the data; Kapoor and Narayanan 2023, leakage")
def label_shares_agree(s: Setup, distance: float = 0.15, gap: float = 0.25, p: float = 1e-6) -> Verdict:
    """Train and val have the same share of each class, up to chance.

    The split is not stratified or follows the order of the data, val numbers its classes differently, a class is
    missing from val. Balanced on purpose? Write `declare: {resampled_train: true}` in params.yaml. The value is the
    total variation distance, of several labels the largest; for quantities, the largest gap between the distributions
    (Kolmogorov-Smirnov).
    """
    if s.declare.resampled_train:
        return skip("train is resampled, as declared")
    train, val = (_targets(s, d, t[1]).cpu() for d, t in ((s.train, s.train_tensors), (s.val, s.val_tensors)))
    if s.kind == "sequence":
        return skip("the targets are sequences")
    pairs = list(zip(target_columns(train), target_columns(val), strict=True))
    p /= len(pairs)
    if s.kind == "regression":
        verdicts = [_numbers_agree(a.double(), b.double(), gap, p) for a, b in pairs]
    else:
        words = ["class {}"] if len(pairs) == 1 else [f"the value {{}} of label {i}" for i in range(len(pairs))]
        verdicts = [_shares_agree(a, b, distance, p, word) for (a, b), word in zip(pairs, words, strict=True)]
    return max(verdicts, key=lambda v: (not v.ok, v.value if isinstance(v.value, float) else 1.0))


def _shares_agree(train: Tensor, val: Tensor, distance: float, p: float, word: str) -> Verdict:
    """word: for a value of the targets."""
    classes = torch.cat([train.flatten(), val.flatten()]).unique()
    table = torch.stack([(part.flatten()[:, None] == classes).sum(0).double() for part in (train, val)])
    shares = table / table.sum(1, keepdim=True)
    moved = 0.5 * (shares[0] - shares[1]).abs().sum().item()
    expected = table.sum(1, keepdim=True) * table.sum(0, keepdim=True) / table.sum()
    chi2 = ((table - expected).square() / expected).sum()
    p_value = _chi2_above(chi2.item(), max(1, len(classes) - 1))
    # a class of which val should have many examples and has none is missing, however small its share
    gone = [int(c) for c, n, e in zip(classes, table[1], shares[0] * table[1].sum(), strict=True) if n == 0 and e > 20]
    if gone:
        return Verdict(FAIL, f"{word.format(gone[0])} is missing from val", "none is missing")
    return Verdict(FAIL if moved > distance and p_value < p else PASS, moved, f"< {distance:g}, or p > {p:g}")


def _numbers_agree(a: Tensor, b: Tensor, gap: float, p: float) -> Verdict:
    distance = kolmogorov_smirnov(a, b)
    p_value = 2 * exp(-2 * distance**2 * len(a) * len(b) / (len(a) + len(b)))
    return Verdict(FAIL if distance > gap and p_value < p else PASS, distance, f"< {gap:g}, or p > {p:g}")


def _chi2_above(value: float, freedom: int) -> float:
    """P(chi-squared > value)."""
    return torch.special.gammaincc(torch.tensor(freedom / 2).double(), torch.tensor(value / 2).double()).item()


@check(source="Kapoor and Narayanan 2023, leakage; Kaufman et al. 2012, leakage in data mining")
def targets_are_not_in_the_inputs(s: Setup, copy: float = 0.9999) -> Verdict:
    """No single input determines the target.

    The target column is still among the features, a file name or an id became one; in a sequence the targets are the
    inputs themselves, not shifted by one. The value counts such inputs.
    """
    if s.form.itself or s.shifts_targets:
        return skip("the inputs are their own targets" if s.form.itself else "the loss shifts the targets")
    x, y = (main(part) for part in s.train_tensors)
    if not x.is_floating_point():
        if x.shape != y.shape:
            return skip("inputs are indices of another shape than the targets")
        return exactly(bool((x == y).float().mean() > copy), False)
    x = x.flatten(1).double()
    if s.kind == "sequence" or len(y) < (20 if s.kind == "regression" else 50):
        return skip("the targets are sequences, or there are too few examples")
    if s.kind == "regression":
        return exactly(int(sum((_correlations(x, t) > copy).sum() for t in target_columns(y))), 0)
    return exactly(int(sum(_determining(x, t).sum() for t in target_columns(y))), 0)


def _correlations(x: Tensor, t: Tensor) -> Tensor:
    """(columns,) absolute correlations of the columns of x (N, columns) with t (N,)."""
    a, b = x - x.mean(0), t.double() - t.double().mean()
    return (a * b[:, None]).sum(0).abs() / (a.norm(dim=0) * b.norm()).clamp_min(1e-12)


def _determining(x: Tensor, y: Tensor) -> Tensor:
    """(columns,) whether a column of x (N, columns) varies, and has one value for each class of y (N,)."""
    determines = x.std(0) > 1e-6 * (1 + x.abs().amax(0))
    for c in y.unique():
        if (y == c).sum() > 1:
            part = x[y == c]
            determines &= part.amax(0) - part.amin(0) <= 1e-6 * (1 + part.abs().amax(0))
    return determines
