"""The one evaluation on the test set: the chosen system and its baselines, example by example."""

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from recipe.data.batches import Data, Split
from recipe.experiment.saved import read_baselines
from recipe.files import write_table
from recipe.metrics.comparison import Comparison, compare
from recipe.metrics.scores import nlls, quality, weighted
from recipe.stages.ensemble.extended_training import ExtendedTraining
from recipe.stages.ensemble.member_weights import MemberWeights
from recipe.stages.ensemble.members import Member, best_member, saved_probabilities, stack

BEST_MEMBER, STUDENT, UNTUNED = "best member", "one network, distilled", ", untuned"
BASELINES = Path("runs/baseline/baselines")


@dataclass(frozen=True)
class Candidates:
    """All that was trained and chosen before the test set is read. out: the folder of the weights."""

    pool: list[Member]
    weights: MemberWeights
    extended: ExtendedTraining | None
    student: Member | None
    out: Path
    baselines: Path = BASELINES


@dataclass(frozen=True)
class ScoredSystem:
    """A system that predicts classes. networks: how many are averaged; p_val and p_test: its probabilities (N, K)."""

    name: str
    networks: int
    p_val: Tensor
    p_test: Tensor

    def score(self, y_val: Tensor, y_test: Tensor) -> dict:
        """A row of the score ladder."""
        val, test = quality(self.p_val, y_val), quality(self.p_test, y_test)
        low, high = test.interval()
        return {
            "system": self.name, "seeds": self.networks, "val_loss": val.nll, "val_accuracy": val.accuracy,
            "test_loss": test.nll, "test_accuracy": test.accuracy, "test_low": low, "test_high": high,
        }  # fmt: skip


def pool_on_test(cfg: DictConfig, data: Data, test: Split, candidates: Candidates) -> Tensor:
    """(M, N, K): the pool's probabilities on test. Each network is read from its file, so what was saved is scored."""
    files = [(m.changes, candidates.out / m.file) for m in candidates.pool]
    return torch.stack([saved_probabilities(cfg, data, changes, file, test) for changes, file in files])


def score_systems(
    cfg: DictConfig, data: Data, test: Split, candidates: Candidates, p_test: Tensor
) -> list[ScoredSystem]:  # fmt: skip
    """Every system on val and test, from the simplest to the chosen one, which is the last.

    p_test: (M, N, K) of the pool.
    """
    pool, weights, student = candidates.pool, candidates.weights, candidates.student
    systems = _baseline_systems(cfg, data, test, candidates.baselines)
    p_val = stack(pool)
    best, _ = best_member(pool, data.val.y.cpu())
    systems.append(ScoredSystem(BEST_MEMBER, 1, p_val[best], p_test[best]))
    if student:
        p = saved_probabilities(cfg, data, student.changes, candidates.out / student.file, test)
        systems.append(ScoredSystem(STUDENT, 1, student.p_val, p))
    for name in sorted(weights.options, key=lambda n: n == weights.name):
        counts = weights.options[name]
        networks = sum(n > 0 for n in counts)
        systems.append(ScoredSystem(name, networks, weighted(p_val, counts), weighted(p_test, counts)))
    if weights.calibrated:
        both = weights.probabilities(p_val), weights.probabilities(p_test)
        systems.append(ScoredSystem(f"{weights.name}, calibrated", systems[-1].networks, *both))
    return systems


def _baseline_systems(cfg: DictConfig, data: Data, test: Split, folder: Path) -> list[ScoredSystem]:
    """The constant answer, then the networks of the baseline stage, the configured model untuned last."""
    constant = data.task.predict(data.task.constant(data.train.y))
    systems = [ScoredSystem("constant", 0, constant.expand(len(data.val), -1), constant.expand(len(test), -1))]
    baselines = read_baselines(folder)
    for baseline in baselines:
        name = baseline["system"] + (UNTUNED if baseline is baselines[-1] else "")
        p_val, p_test = (
            saved_probabilities(cfg, data, baseline["changes"], baseline["weights"], split)
            for split in (data.val, test)
        )
        systems.append(ScoredSystem(name, 1, p_val, p_test))
    return systems


def compare_systems(systems: list[ScoredSystem], y: Tensor) -> list[Comparison]:
    """On test: the final system, which is the last, with each other one; the distilled network with the best member."""
    *others, final = systems
    pairs = [(final, other) for other in others]
    named = {s.name: s for s in systems}
    if STUDENT in named:
        pairs.append((named[STUDENT], named[BEST_MEMBER]))
    return [compare(a.name, a.p_test, b.name, b.p_test, y) for a, b in pairs]


# ---- the table -----------------------------------------------------------------------------------------------


def write_predictions(
    path: Path, test: Split, classes: list[str], systems: list[ScoredSystem], agreement: Tensor
) -> None:  # fmt: skip
    """predictions.parquet: a row per test example; `predicted` is the class of the last system.

    agreement: (N,) share of the members, each as often as it counts, that predict the same class as the ensemble.
    """
    y, chosen = test.y.cpu(), systems[-1].p_test
    confidence, predicted = chosen.max(1)
    columns = {
        "id": list(test.ids),
        "label": [classes[c] for c in y.tolist()],
        "predicted": [classes[c] for c in predicted.tolist()],
        "confidence": confidence.tolist(),
        "nll": nlls(chosen, y).tolist(),
        "agreement": agreement.tolist(),
    }
    meanings = {
        "id": "the example's id, as in runs/audit/examples.parquet",
        "label": "the class of its label",
        "predicted": f"the most probable class of the final system: {systems[-1].name}",
        "confidence": "the final system's probability of that class",
        "nll": "negative logarithm of the final system's probability of the label, in nats",
        "agreement": "share of the members, each as often as it counts, that predict the final system's class",
    }
    for i, c in enumerate(classes):
        columns[f"p_{c}"] = chosen[:, i].tolist()
        meanings[f"p_{c}"] = f"the final system's probability of class {c}"
    for system in systems[:-1]:
        columns |= {
            f"predicted by {system.name}": [classes[c] for c in system.p_test.argmax(1).tolist()],
            f"nll of {system.name}": nlls(system.p_test, y).tolist(),
        }
        meanings |= {
            f"predicted by {system.name}": "its most probable class",
            f"nll of {system.name}": "negative logarithm of its probability of the label, in nats",
        }
    write_table(path, columns, meanings)


def agreement(p: Tensor, counts: list[int], chosen: Tensor) -> Tensor:
    """(N,): share of the members p (M, N, K), each as often as it counts, that predict the class of `chosen` (N, K)."""
    same = (p.argmax(2) == chosen.argmax(1)).double()
    return (same * torch.tensor(counts, dtype=torch.float64).unsqueeze(1)).sum(0) / sum(counts)


def worst_first(p: Tensor, y: Tensor) -> Tensor:
    """Indices of the wrong predictions, the most confident first."""
    confidence, predicted = p.max(1)
    wrong = (predicted != y).nonzero().flatten()
    return wrong[confidence[wrong].argsort(descending=True, stable=True)]


def wrong_pictures(p: Tensor, test: Split, data: Data, most: int = 48) -> tuple[Tensor, list[str]]:
    """(pictures, titles `label → prediction, confidence`) of wrong predictions on test, the most confident first."""
    y = test.y.cpu()
    index = worst_first(p, y)[:most]
    confidence, predicted = p[index].max(1)
    titles = [
        f"{data.task.names[int(label)]} → {data.task.names[int(other)]}  {c:.0%}"
        for label, other, c in zip(y[index], predicted, confidence, strict=True)
    ]
    return data.pictures(test.x[index]), titles
