"""The results of a search: what its checks, tables, figures and captions are made of."""

from dataclasses import dataclass
from pathlib import Path

from recipe.files import write_csv, write_yaml
from recipe.formatting import outcome
from recipe.metrics.objective import Objective
from recipe.stages.runner import Run
from recipe.stages.tune.compare import ACCEPTED, TunedRecipe, compare, finished_changes
from recipe.stages.tune.compare_samplers import progress, sampler_predictions
from recipe.stages.tune.importance import importances, without_model
from recipe.stages.tune.trials import Trial, TrialSetup
from recipe.stages.tune.worker import Search, trials_of


@dataclass(frozen=True)
class SearchResults:
    """trials: by sampler. comparisons: predictions about samplers."""

    setup: TrialSetup
    trials: dict[str, list[Trial]]
    tuned: TunedRecipe
    comparisons: list[dict]

    @property
    def all_trials(self) -> list[Trial]:
        return [t for of_sampler in self.trials.values() for t in of_sampler]

    @property
    def budget(self) -> int:
        """Trials of each sampler and repeat."""
        return self.setup.cfg.trials

    @property
    def repeats(self) -> int:
        return self.setup.cfg.repeats

    @property
    def confidence(self) -> float:
        return self.setup.cfg.confidence

    @property
    def objective(self) -> Objective:
        return self.setup.data.objective

    def count(self, state: str) -> int:
        return sum(t.state == state for t in self.all_trials)

    def rows(self) -> list[dict]:
        """The lines of trials.csv."""
        return [t.row(self.setup.space, self.setup.data.metric.name) for t in self.all_trials]

    def axes(self) -> dict[str, dict]:
        """{searched key: its scale}, for figures."""
        return {key: range_.axis() for key, range_ in self.setup.space.items()}

    def progress(self) -> tuple[dict[str, list[list[float]]], dict[str, list[float]]]:
        return progress(self.trials, self.confidence)

    def importances(self) -> dict[str, float]:
        return importances(self.setup.space, without_model(self.trials))

    def metrics(self) -> dict[str, float]:
        score, metric = self.tuned.score, f"val_{self.setup.data.metric.name}"
        return {
            "val_loss": score["val_loss"], metric: score[metric], "gain": self.tuned.gain.mean,
            "trials": len(self.all_trials), "pruned": self.count("pruned"), "failed": self.count("failed"),
        }  # fmt: skip

    def predictions(self) -> list[dict]:
        """The prediction about the best trial, then those about the samplers."""
        best = {
            "change": f"best of {len(self.all_trials)} trials",
            "expected": f"{self.objective.improves} than the {ACCEPTED}",
            "measured": self.tuned.effect,
            "outcome": outcome(self.tuned.gain.low, self.tuned.gain.high),
        }
        return [best, *self.comparisons]


def evaluate(search: Search, run: Run) -> SearchResults:
    """Compares the best trial of a finished search with the accepted recipe, and the samplers with each other."""
    trials = trials_of(search)
    tuned = compare(search, [t for of_sampler in trials.values() for t in of_sampler], run)
    return SearchResults(
        search.setup, trials, tuned, sampler_predictions(search.setup.cfg, trials, search.setup.data.objective)
    )


def write_tables(out: Path, results: SearchResults) -> None:
    setup = results.setup
    write_yaml(out / "best.yaml", results.tuned.changes)
    write_yaml(out / "finished.yaml", finished_changes(setup.space, setup.start, results.all_trials))
    write_csv(out / "trials.csv", results.rows())
