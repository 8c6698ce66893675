"""The results of the ensemble stage: all that its checks, tables, figures and captions are made of."""

import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from omegaconf import DictConfig
from torch import Tensor

from recipe.data.batches import Data, Split
from recipe.experiment.arms import score
from recipe.files import read_table, read_yaml, write_csv
from recipe.formatting import lowering, outcome
from recipe.metrics.comparison import Comparison
from recipe.metrics.metric import Metric
from recipe.metrics.power import share_saved
from recipe.metrics.scores import weighted
from recipe.models.fitted import SIMPLE
from recipe.serve.system import System
from recipe.stages.ensemble import extended_training, final_evaluation, member_weights
from recipe.stages.ensemble.calibration_effect import CalibrationEffect, calibration_effect
from recipe.stages.ensemble.checks import FinalSystemEvidence
from recipe.stages.ensemble.coverage import Coverage, coverage
from recipe.stages.ensemble.extended_training import ExtendedTraining
from recipe.stages.ensemble.final_evaluation import Candidates, ScoredSystem
from recipe.stages.ensemble.member_weights import MemberWeights
from recipe.stages.ensemble.members import BEST, Member, best_member, count_seeds, stack
from recipe.stages.ensemble.selection import LOSS, EnsembleSize, enough, ensemble_sizes
from recipe.tasks.answers import Answers
from recipe.tasks.task import Task


@dataclass(frozen=True)
class Results:
    """p_test: (M, N, K) of the pool. systems: the final one last. actual_val, actual_test: the targets, with folds
    those of all validation parts. calibration_on_val, calibration_on_test: of the members averaged. coverage: on test,
    of the intervals of quantities.
    """

    task: Task
    metric: Metric
    candidates: Candidates
    p_test: Tensor
    sizes: list[EnsembleSize]
    systems: list[ScoredSystem]
    comparisons: list[Comparison]
    calibration_on_val: CalibrationEffect
    calibration_on_test: CalibrationEffect
    coverage: list[Coverage]
    actual_val: Tensor
    actual_test: Tensor

    @property
    def pool(self) -> list[Member]:
        return self.candidates.pool

    @property
    def weights(self) -> MemberWeights:
        return self.candidates.weights

    @property
    def answers(self) -> Answers:
        return self.task.answers(self.weights.half_widths, self.weights.thresholds)

    @property
    def folds(self) -> int:
        """How many networks a member is, one in each fold; 0 without folds."""
        return len(self.pool[0].files) if len(self.pool[0].files) > 1 else 0

    @property
    def extended(self) -> ExtendedTraining | None:
        return self.candidates.extended

    @property
    def final(self) -> ScoredSystem:
        return self.systems[-1]

    @property
    def averaged(self) -> ScoredSystem:
        """The final system without its calibration."""
        return next(s for s in self.systems if s.name == self.weights.name)

    @property
    def untuned(self) -> Comparison:
        """The final system compared with the untuned baseline, on test."""
        return next(c for c in self.comparisons if c.other.endswith(final_evaluation.UNTUNED))

    @property
    def simple(self) -> Comparison | None:
        """Compared on test with the simple model of a table or of texts that is best on validation."""
        losses = {
            s.name: self.task.losses(s.p_val, self.actual_val).mean().item()
            for s in self.systems if s.name in SIMPLE
        }  # fmt: skip
        best = min(losses, key=losses.__getitem__, default=None)
        return next((c for c in self.comparisons if c.other == best), None)

    @property
    def student(self) -> Comparison | None:
        """The distilled network compared with the best member, on test."""
        return next((c for c in self.comparisons if c.system == final_evaluation.STUDENT), None)

    @property
    def per_target(self) -> list[dict[str, str | float]]:
        """A row for each class, label or quantity: the final system on test."""
        return self.answers.by_target(self.final.p_test, self.actual_test)

    @property
    def test_loss(self) -> float:
        return self.task.losses(self.final.p_test, self.actual_test).mean().item()


def evaluate(cfg: DictConfig, data: Data, test: Split, candidates: Candidates) -> Results:
    """Everything on test at once, after every choice is made; writes predictions.parquet."""
    task, metric = data.task, data.metric
    on_val, on_test = data.actual_held_out, task.actual(test.y.cpu())
    pool, weights = candidates.pool, candidates.weights
    p_test = final_evaluation.pool_on_test(cfg, data, test, candidates)
    systems = final_evaluation.score_systems(cfg, data, test, candidates, p_test)
    averaged = next(s for s in systems if s.name == weights.name)
    answers = task.answers(weights.half_widths, weights.thresholds)
    agreement = answers.agreement(p_test, weights.counts, averaged.p_test)
    final_evaluation.write_predictions(
        candidates.out / "predictions.parquet", test, task, answers, systems, agreement
    )  # fmt: skip
    return Results(
        task=task,
        metric=metric,
        candidates=candidates,
        p_test=p_test,
        sizes=ensemble_sizes(task, metric, stack(pool)[: count_seeds(pool)], on_val, cfg.seed),
        systems=systems,
        comparisons=final_evaluation.compare_systems(task, metric, systems, on_test),
        calibration_on_val=calibration_effect("val", task, averaged.p_val, weights.fitted, on_val),
        calibration_on_test=calibration_effect("test", task, averaged.p_test, weights.fitted, on_test),
        coverage=coverage(task.names, systems[-1].p_test, on_test, weights.half_widths, len(on_val)),
        actual_val=on_val,
        actual_test=on_test,
    )


def evidence(data: Data, test: Split, r: Results, reloaded: Tensor) -> FinalSystemEvidence:
    """What the checks look at: the tables on disk, not those in memory.

    reloaded: (N, K), the predictions of the system on disk for the test examples.
    """
    task, saved = r.task, read_table(r.candidates.out / "predictions.parquet")
    used = {*data.train.ids, *data.val.ids}
    p_val = stack(r.pool)
    chosen_again = member_weights.choose_weights(task, p_val, r.actual_val, count_seeds(r.pool))
    constant = r.systems[0]
    on_test, on_val = (
        share_saved(task.losses(final, actual), task.losses(prior, actual), task.squares)
        for final, prior, actual in (
            (r.final.p_test, constant.p_test, r.actual_test), (r.final.p_val, constant.p_val, r.actual_val)
        )
    )  # fmt: skip
    averaged = weighted(p_val, r.weights.counts)
    return FinalSystemEvidence(
        loss_name=task.loss_name,
        saved=torch.tensor([[row[c] for c in r.answers.p_columns] for row in saved], dtype=torch.float64),
        reloaded=reloaded,
        scale=task.scale,
        test_count=len(test),
        overlap=sum(name in used for name in test.ids),
        choice=cast(dict, read_yaml(r.candidates.out / "choice.yaml")),
        choice_again=member_weights.content(chosen_again, r.pool),
        members=best_member(task, r.pool, r.actual_val)[1],
        averaged=task.losses(averaged, r.actual_val).mean().item(),
        val_count=len(r.actual_val),
        held_out=r.weights.held_out[r.weights.name],
        calibration=r.calibration_on_val,
        coverage=r.coverage,
        saved_on_test=on_test,
        saved_on_val=on_val,
        is_tabular=data.kind.has_columns,
        untuned=r.untuned,
        simple=r.simple,
        extended=r.extended,
    )


def fine_tuned_predictions(r: Results, system: System) -> dict[str, Tensor]:
    """{split: predictions (M, N, K) of the members} of a system with fine-tuned ones, which are slow to compute again;
    empty of another system, and with folds, in which a member is several networks."""
    if not system.fine_tuned or r.folds:
        return {}
    used = torch.tensor(r.weights.counts) > 0
    return {"val": stack(r.pool)[used], "test": r.p_test[used]}


def write_tables(out: Path, r: Results) -> None:
    write_csv(out / "per_target.csv", r.per_target)
    write_csv(out / "sizes.csv", [size.row() for size in r.sizes])
    effects = r.calibration_on_val.rows() + r.calibration_on_test.rows()
    write_csv(out / "calibration.csv", effects + [c.row() for c in r.coverage])
    write_csv(out / "comparisons.csv", [c.row() for c in r.comparisons])
    curves = r.extended.rows() if r.extended else []
    write_csv(out / "longer.csv", curves, extended_training.columns(r.metric.name))


def scores(r: Results) -> list[dict]:
    """Rows of the score ladder: one member on train and val, then every system on test."""
    member = score(f"{BEST}, one member", [row for m in r.pool[: count_seeds(r.pool)] for row in m.rows()])
    return [member, *[s.score(r.task, r.metric, r.actual_val, r.actual_test) for s in r.systems]]


def metrics(r: Results) -> dict[str, float]:
    """Loss and metric on both splits, every other metric of the task on test, each with its interval."""
    content: dict[str, float] = {}
    for split, p, actual in (("val", r.final.p_val, r.actual_val), ("test", r.final.p_test, r.actual_test)):
        content[f"{split}_loss"] = r.task.losses(p, actual).mean().item()
        shown = {r.metric.name: r.metric} | (dict(r.task.metrics) if split == "test" else {})
        for name, metric in shown.items():
            low, high = metric.interval(p, actual)
            values = {"": metric.of(p, actual), "_low": low, "_high": high}
            content |= {f"{split}_{name}{end}": value for end, value in values.items() if math.isfinite(value)}
    if r.coverage:
        content["test_coverage"] = statistics.fmean(one.share for one in r.coverage)
    if len(r.weights.calibration) == 1:
        content["temperature"] = r.weights.calibration[0]
    return content | {"members": sum(n > 0 for n in r.weights.counts), "members_enough": enough(r.sizes)}


def predictions(r: Results) -> list[dict]:
    first, last = r.sizes[0].means[LOSS], r.sizes[-1].means[LOSS]
    made = [{
        "change": f"{r.sizes[-1].members} members instead of 1",
        "expected": f"lower validation {r.task.loss_name}",  # Lakshminarayanan et al. 2017
        "measured": f"{first:.4f} (mean member) → {last:.4f}",
        "outcome": "confirmed" if last < first else "refuted",
    }]  # fmt: skip
    if student := r.student:
        mean, low, high = student.loss
        what = f"test {r.task.loss_name}"
        made.append({
            "change": f"{r.weights.name} distilled into one network",
            "expected": f"lower {what} than the best member",
            "measured": lowering(-mean, -high, -low, what, f"{student.count:,} examples"),
            "outcome": outcome(-high, -low),
        })  # fmt: skip
    return made + ([r.extended.prediction()] if r.extended else [])
