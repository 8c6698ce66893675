"""The one reading of the test set: the chosen system beside its baselines, example by example."""

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
from recipe.models.plain import Constant
from recipe.stages.ensemble.member_weights import Choice, best_member, stacked
from recipe.stages.ensemble.members import Member, said

BEST_MEMBER, STUDENT, UNTUNED = "best member", "one network, distilled", ", untuned"


@dataclass(frozen=True)
class System:
    """Something that answers. networks: how many are averaged; p_val and p_test: its probabilities (N, K)."""

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


def systems(
    cfg: DictConfig, data: Data, test: Split, pool: list[Member], p_test: Tensor, choice: Choice,
    student: Member | None, out: Path, baselines: Path,
) -> list[System]:  # fmt: skip
    """Every system on val and test, from the dullest to the chosen one, which is the last.

    p_test: (M, N, K) of the pool. Each network is read from its file, so that what is scored is what was saved.
    """
    constant = Constant(data.train.y.cpu(), len(data.classes)).logits.detach().double().softmax(0)
    found = [System("constant", 0, constant.expand(len(data.val), -1), constant.expand(len(test), -1))]
    floors = read_baselines(baselines)
    for floor in floors:
        name = floor["system"] + (UNTUNED if floor is floors[-1] else "")
        parts = (data.val, test)
        found.append(System(name, 1, *(said(cfg, data, floor["changes"], floor["weights"], p) for p in parts)))
    p_val = stacked(pool)
    best, _ = best_member(pool, data.val.y.cpu())
    found.append(System(BEST_MEMBER, 1, p_val[best], p_test[best]))
    if student:
        found.append(System(STUDENT, 1, student.p_val, said(cfg, data, student.changes, out / student.file, test)))
    for name in sorted(choice.options, key=lambda n: n == choice.name):
        times = choice.options[name]
        used = sum(n > 0 for n in times)
        found.append(System(name, used, weighted(p_val, times), weighted(p_test, times)))
    if choice.calibrated:
        both = choice.probabilities(p_val), choice.probabilities(p_test)
        found.append(System(f"{choice.name}, calibrated", found[-1].networks, *both))
    return found


def comparisons(found: list[System], y: Tensor) -> list[Comparison]:
    """On test: the final system, which is the last, against each other one; the distilled network against a member."""
    *others, chosen = found
    pairs = [(chosen, other) for other in others]
    named = {s.name: s for s in found}
    if STUDENT in named:
        pairs.append((named[STUDENT], named[BEST_MEMBER]))
    return [compare(a.name, a.p_test, b.name, b.p_test, y) for a, b in pairs]


# ---- the table -----------------------------------------------------------------------------------------------


def write_predictions(path: Path, test: Split, classes: list[str], found: list[System], agreement: Tensor) -> None:
    """predictions.parquet: a row per test example; the last system is the one whose answer it is.

    agreement: (N,) share of the members, as often as they count, whose own answer is the ensemble's.
    """
    y, chosen = test.y.cpu(), found[-1].p_test
    confidence, guess = chosen.max(1)
    columns = {
        "id": list(test.ids),
        "label": [classes[c] for c in y.tolist()],
        "predicted": [classes[c] for c in guess.tolist()],
        "confidence": confidence.tolist(),
        "nll": nlls(chosen, y).tolist(),
        "agreement": agreement.tolist(),
    }
    meanings = {
        "id": "the example's id, as in runs/audit/examples.parquet",
        "label": "the class that it is said to be",
        "predicted": f"the likeliest class by the final system: {found[-1].name}",
        "confidence": "the final system's probability of that class",
        "nll": "negative logarithm of the final system's probability of the label, in nats",
        "agreement": "share of the members, each as often as it counts, whose own answer is the final system's",
    }
    for i, c in enumerate(classes):
        columns[f"p_{c}"] = chosen[:, i].tolist()
        meanings[f"p_{c}"] = f"the final system's probability of class {c}"
    for system in found[:-1]:
        columns |= {
            f"predicted by {system.name}": [classes[c] for c in system.p_test.argmax(1).tolist()],
            f"nll of {system.name}": nlls(system.p_test, y).tolist(),
        }
        meanings |= {
            f"predicted by {system.name}": "its likeliest class",
            f"nll of {system.name}": "negative logarithm of its probability of the label, in nats",
        }
    write_table(path, columns, meanings)


def agreement(p: Tensor, times: list[int], chosen: Tensor) -> Tensor:
    """(N,): share of the members p (M, N, K), each as often as it counts, whose answer is that of `chosen` (N, K)."""
    same = (p.argmax(2) == chosen.argmax(1)).double()
    return (same * torch.tensor(times, dtype=torch.float64).unsqueeze(1)).sum(0) / sum(times)


def worst_first(p: Tensor, y: Tensor) -> Tensor:
    """Indices of the wrong answers, the most confident first."""
    confidence, guess = p.max(1)
    wrong = (guess != y).nonzero().flatten()
    return wrong[confidence[wrong].argsort(descending=True, stable=True)]


def mispredicted(p: Tensor, test: Split, data: Data, most: int = 48) -> tuple[Tensor, list[str]]:
    """(pictures, titles `label → answer, confidence`) of the wrong answers on test, the most confident first."""
    y = test.y.cpu()
    index = worst_first(p, y)[:most]
    confidence, guess = p[index].max(1)
    titles = [
        f"{data.classes[int(y)]} → {data.classes[int(g)]}  {c:.0%}"
        for y, g, c in zip(y[index], guess, confidence, strict=True)
    ]
    return data.pictures(test.x[index]), titles
