"""The one evaluation on the test set: the chosen system and its baselines, example by example."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from recipe.data.batches import Data, Split
from recipe.experiment.fitted_baselines import fit_baselines
from recipe.experiment.saved import read_baselines
from recipe.files import write_table
from recipe.metrics.comparison import Comparison, compare
from recipe.metrics.metric import Metric
from recipe.metrics.scores import weighted
from recipe.stages.ensemble.extended_training import ExtendedTraining
from recipe.stages.ensemble.member_weights import MemberWeights
from recipe.stages.ensemble.members import Member, best_member, member_on_test, saved_predictions, stack
from recipe.tasks.answers import Answers
from recipe.tasks.task import Task

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
    """A system that predicts. networks: how many are averaged; p_val and p_test: its predictions (N, K).

    p_val: with folds, of all validation parts, each by what was trained on the others; of what was trained in the first
    fold alone, of val.
    """

    name: str
    networks: int
    p_val: Tensor
    p_test: Tensor

    def score(self, task: Task, metric: Metric, val: Tensor, test: Tensor) -> dict:
        """A row of the score ladder; val, test: the targets of all validation parts and of test."""
        low, high = metric.interval(self.p_test, test)
        row: dict = {"system": self.name, "seeds": self.networks}
        for split, p, actual in (("val", self.p_val, val[: len(self.p_val)]), ("test", self.p_test, test)):
            row[f"{split}_loss"] = task.losses(p, actual).mean().item()
            row[f"{split}_{metric.name}"] = metric.of(p, actual)
        row |= {"test_low": low, "test_high": high}
        return {k: v for k, v in row.items() if not isinstance(v, float) or math.isfinite(v)}


def pool_on_test(cfg: DictConfig, data: Data, test: Split, candidates: Candidates) -> Tensor:
    """(M, N, K): the pool's predictions on test. Each network is read from its file, so what was saved is scored."""
    return torch.stack([member_on_test(cfg, data, m, candidates.out, test) for m in candidates.pool])


def score_systems(
    cfg: DictConfig, data: Data, test: Split, candidates: Candidates, p_test: Tensor
) -> list[ScoredSystem]:  # fmt: skip
    """Every system on val and test, from the simplest to the chosen one, which is the last.

    p_test: (M, N, K) of the pool.
    """
    pool, weights, student = candidates.pool, candidates.weights, candidates.student
    systems = _baseline_systems(cfg, data, test, candidates.baselines)
    p_val, each = stack(pool), len(data.parts)
    best, _ = best_member(data.task, pool, data.actual_held_out)
    systems.append(ScoredSystem(BEST_MEMBER, each, p_val[best], p_test[best]))
    if student:
        p = member_on_test(cfg, data, student, candidates.out, test)
        systems.append(ScoredSystem(STUDENT, 1, student.p_val, p))
    for name in sorted(weights.options, key=lambda n: n == weights.name):
        counts = weights.options[name]
        networks = each * sum(n > 0 for n in counts)
        systems.append(ScoredSystem(name, networks, weighted(p_val, counts), weighted(p_test, counts)))
    if weights.calibrated:
        both = weights.predictions(p_val), weights.predictions(p_test)
        systems.append(ScoredSystem(f"{weights.name}, calibrated", systems[-1].networks, *both))
    return systems


def _baseline_systems(cfg: DictConfig, data: Data, test: Split, folder: Path) -> list[ScoredSystem]:
    """The constant answer, those fitted to a table, and networks of the baseline stage, the configured model last.

    The first ones are fitted in every fold, and averaged as networks are.
    """
    pairs = zip(data.parts, test.parts, strict=True)
    constants = [part.task.predict(part.task.constant(part.train.y)).cpu() for part in data.parts]
    systems = [_of_folds("constant", [
        (p.expand(len(part.val), -1), p.expand(len(test), -1)) for p, part in zip(constants, data.parts, strict=True)
    ])]  # fmt: skip
    fitted = [_fitted(part, on_test, cfg.seed) for part, on_test in pairs]
    systems += [_of_folds(name, [of_fold[name] for of_fold in fitted]) for name in fitted[0]]
    baselines = read_baselines(folder)
    for baseline in baselines:
        name = baseline["system"] + (UNTUNED if baseline is baselines[-1] else "")
        p_val, p_test = (
            saved_predictions(cfg, data, baseline["changes"], baseline["weights"], split) for split in (data.val, test)
        )
        systems.append(ScoredSystem(name, 1, p_val, p_test))
    return systems


def _fitted(data: Data, test: Split, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    """{model: its predictions on val and on test}; empty where there is none, and of a table on disk."""
    if not isinstance(test.x, Tensor):
        return {}
    return {name: (predict(data.val), predict(test)) for name, predict in fit_baselines(data, seed).items()}


def _of_folds(name: str, predicted: list[tuple[Tensor, Tensor]]) -> ScoredSystem:
    """What is not a network, from its predictions of each fold's validation part and of test."""
    on_val, on_test = zip(*predicted, strict=True)
    return ScoredSystem(name, 0, torch.cat(on_val), torch.stack(on_test).mean(0))


def compare_systems(
    task: Task, metric: Metric, systems: list[ScoredSystem], actual: Tensor
) -> list[Comparison]:  # fmt: skip
    """On test: the final system, which is the last, with each other one; the distilled network with the best member."""
    *others, final = systems
    pairs = [(final, other) for other in others]
    named = {s.name: s for s in systems}
    if STUDENT in named:
        pairs.append((named[STUDENT], named[BEST_MEMBER]))
    return [compared(task, metric, a.name, a.p_test, b.name, b.p_test, actual) for a, b in pairs]


def compared(
    task: Task, metric: Metric, name: str, p: Tensor, other: str, q: Tensor, actual: Tensor
) -> Comparison:  # fmt: skip
    return compare(
        name, p, other, q, actual,
        metric=metric, loss_name=task.loss_name, losses=task.losses, right=task.answers().right,
    )  # fmt: skip


# ---- the table -----------------------------------------------------------------------------------------------


def write_predictions(
    path: Path, test: Split, task: Task, answers: Answers, systems: list[ScoredSystem], agreement: Tensor
) -> None:  # fmt: skip
    """predictions.parquet: a row per test example, with the answers of the last system and the losses of all.

    agreement: (N,) of the members with the final system, see `Answers.agreement`.
    """
    actual, final = task.actual(test.y.cpu()), systems[-1]
    targets = answers.targets(actual)
    columns = {"id": list(test.ids)} | targets | answers.columns(final.p_test)
    meanings = {"id": "the example's id, as in runs/audit/examples.parquet"}
    meanings |= dict.fromkeys(targets, "what is to be predicted")
    meanings |= {name: f"by the final system: {meaning}" for name, meaning in answers.meanings.items()}
    columns["agreement"], meanings["agreement"] = agreement.tolist(), answers.agreement_meaning
    for system in systems:
        of = "" if system is final else f" of {system.name}"
        columns[f"loss{of}"] = task.losses(system.p_test, actual).tolist()
        meanings[f"loss{of}"] = f"{task.loss_name}{of or ' of the final system'}"
        if system is not final:
            columns[f"predicted by {system.name}"] = answers.shown(answers.decided(system.p_test))
            meanings[f"predicted by {system.name}"] = "what it predicts"
    write_table(path, columns, meanings)


def worst_first(task: Task, answers: Answers, p: Tensor, actual: Tensor) -> Tensor:
    """Indices of the wrong predictions, the greatest loss first."""
    wrong = answers.wrong(p, actual).nonzero().flatten()
    return wrong[task.losses(p, actual)[wrong].argsort(descending=True, stable=True)]


def worst_shown(
    answers: Answers, p: Tensor, test: Split, data: Data, most: int = 48
) -> tuple[Tensor, list[str]]:  # fmt: skip
    """(places, titles `label → prediction`) of wrong predictions on test, the greatest loss first."""
    actual = data.task.actual(test.y.cpu())
    index = worst_first(data.task, answers, p, actual)[:most]
    return index, answers.captions(p[index], actual[index])
