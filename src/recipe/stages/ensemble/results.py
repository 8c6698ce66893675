"""The results of the ensemble stage: all that its checks, tables, figures and captions are made of."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from omegaconf import DictConfig
from torch import Tensor

from recipe.data.batches import Data, Split
from recipe.experiment.arms import score
from recipe.files import read_table, read_yaml, write_csv
from recipe.formatting import lowering
from recipe.metrics.calibration import Calibration, calibration
from recipe.metrics.comparison import Comparison
from recipe.metrics.metric import Metric
from recipe.metrics.power import share_saved
from recipe.metrics.scores import Quality, nlls, quality, weighted
from recipe.stages.ensemble import final_evaluation, member_weights
from recipe.stages.ensemble.checks import FinalSystemEvidence
from recipe.stages.ensemble.extended_training import COLUMNS, ExtendedTraining
from recipe.stages.ensemble.final_evaluation import Candidates, ScoredSystem
from recipe.stages.ensemble.member_weights import MemberWeights
from recipe.stages.ensemble.members import BEST, Member, best_member, count_seeds, stack
from recipe.stages.ensemble.selection import EnsembleSize, enough, ensemble_sizes
from recipe.tasks.task import Task


@dataclass(frozen=True)
class Results:
    """systems: the final one last. calibration_on_val, calibration_on_test: of the members averaged."""

    candidates: Candidates
    sizes: list[EnsembleSize]
    systems: list[ScoredSystem]
    comparisons: list[Comparison]
    calibration_on_val: Calibration
    calibration_on_test: Calibration
    y_val: Tensor
    y_test: Tensor

    @property
    def pool(self) -> list[Member]:
        return self.candidates.pool

    @property
    def weights(self) -> MemberWeights:
        return self.candidates.weights

    @property
    def extended(self) -> ExtendedTraining | None:
        return self.candidates.extended

    @property
    def final(self) -> ScoredSystem:
        return self.systems[-1]

    @property
    def averaged(self) -> ScoredSystem:
        """The final system without its temperature."""
        return next(s for s in self.systems if s.name == self.weights.name)

    @property
    def untuned(self) -> Comparison:
        """The final system compared with the untuned baseline, on test."""
        return next(c for c in self.comparisons if c.other.endswith(final_evaluation.UNTUNED))

    @property
    def student(self) -> Comparison | None:
        """The distilled network compared with the best member, on test."""
        return next((c for c in self.comparisons if c.system == final_evaluation.STUDENT), None)

    def test_quality(self) -> Quality:
        return quality(self.final.p_test, self.y_test)


def evaluate(cfg: DictConfig, data: Data, test: Split, candidates: Candidates) -> Results:
    """Everything on test at once, after every choice is made; writes predictions.parquet."""
    y_val, y_test = data.val.y.cpu(), test.y.cpu()
    pool, weights = candidates.pool, candidates.weights
    p_test = final_evaluation.pool_on_test(cfg, data, test, candidates)
    systems = final_evaluation.score_systems(cfg, data, test, candidates, p_test)
    averaged = next(s for s in systems if s.name == weights.name)
    agreement = final_evaluation.agreement(p_test, weights.counts, averaged.p_test)
    file = candidates.out / "predictions.parquet"
    final_evaluation.write_predictions(file, test, list(data.task.names), systems, agreement)
    return Results(
        candidates=candidates,
        sizes=ensemble_sizes(stack(pool)[: count_seeds(pool)], y_val, cfg.seed),
        systems=systems,
        comparisons=final_evaluation.compare_systems(systems, y_test),
        calibration_on_val=calibration("val", averaged.p_val, weights.fitted_temperature, y_val),
        calibration_on_test=calibration("test", averaged.p_test, weights.fitted_temperature, y_test),
        y_val=y_val,
        y_test=y_test,
    )


def evidence(data: Data, test: Split, r: Results, reloaded: Tensor) -> FinalSystemEvidence:
    """What the checks look at: the tables on disk, not those in memory.

    reloaded: (N, K), the probabilities of the system on disk for the test examples.
    """
    saved = read_table(r.candidates.out / "predictions.parquet")
    used = {*data.train.ids, *data.val.ids}
    p_val = stack(r.pool)
    chosen_again = member_weights.choose_weights(p_val, r.y_val, count_seeds(r.pool))
    constant = r.systems[0]
    return FinalSystemEvidence(
        saved=torch.tensor([[row[f"p_{c}"] for c in data.task.names] for row in saved], dtype=torch.float64),
        reloaded=reloaded,
        test_count=len(test),
        overlap=sum(name in used for name in test.ids),
        choice=cast(dict, read_yaml(r.candidates.out / "choice.yaml")),
        choice_again=member_weights.content(chosen_again, r.pool),
        members=best_member(r.pool, r.y_val)[1],
        averaged=quality(weighted(p_val, r.weights.counts), r.y_val),
        held_out=r.weights.held_out[r.weights.name],
        calibration=r.calibration_on_val,
        test=r.test_quality(),
        saved_on_test=share_saved(nlls(r.final.p_test, r.y_test), nlls(constant.p_test, r.y_test)),
        saved_on_val=share_saved(nlls(r.final.p_val, r.y_val), nlls(constant.p_val, r.y_val)),
        is_tabular=data.train.x.ndim == 2,
        untuned=r.untuned,
        extended=r.extended,
    )


def write_tables(out: Path, r: Results) -> None:
    write_csv(out / "sizes.csv", [size.row() for size in r.sizes])
    write_csv(out / "calibration.csv", r.calibration_on_val.rows() + r.calibration_on_test.rows())
    write_csv(out / "comparisons.csv", [c.row() for c in r.comparisons])
    write_csv(out / "longer.csv", r.extended.rows() if r.extended else [], COLUMNS)


def scores(r: Results) -> list[dict]:
    """Rows of the score ladder: one member on train and val, then every system on test."""
    member = score(f"{BEST}, one member", [m.row() for m in r.pool[: count_seeds(r.pool)]])
    return [member, *[system.score(r.y_val, r.y_test) for system in r.systems]]


def metrics(r: Results, task: Task, metric: Metric) -> dict[str, float]:
    content: dict[str, float] = {}
    for split, p, y in (("val", r.final.p_val, r.y_val), ("test", r.final.p_test, r.y_test)):
        actual, name = task.actual(y), f"{split}_{metric.name}"
        low, high = metric.interval(p, actual)
        loss = task.losses(p, actual).mean().item()
        content |= {f"{split}_loss": loss, name: metric.of(p, actual), f"{name}_low": low, f"{name}_high": high}
    test = r.test_quality()
    return content | {
        "test_brier": test.brier, "test_ece": test.ece, "temperature": r.weights.temperature,
        "members": sum(n > 0 for n in r.weights.counts), "members_enough": enough(r.sizes),
    }  # fmt: skip


def predictions(r: Results) -> list[dict]:
    first, last = r.sizes[0].means["nll"], r.sizes[-1].means["nll"]
    made = [{
        "change": f"{r.sizes[-1].members} members instead of 1",
        "expected": "lower validation NLL",  # Lakshminarayanan et al. 2017
        "measured": f"{first:.4f} (mean member) → {last:.4f}",
        "outcome": "confirmed" if last < first else "refuted",
    }]  # fmt: skip
    if student := r.student:
        mean, low, high = student.nll
        made.append({
            "change": f"{r.weights.name} distilled into one network",
            "expected": "lower test NLL than the best member",
            "measured": lowering(-mean, -high, -low, "test NLL", f"{student.count:,} examples"),
            "outcome": "confirmed" if student.significant else "refuted",
        })  # fmt: skip
    return made + ([r.extended.prediction()] if r.extended else [])
