"""Without a search: where the stage's budget has no room for one, or fine-tuned networks would take hours, the accepted
recipe is handed on."""

from dataclasses import dataclass

from omegaconf import DictConfig

from recipe.config.changes import change
from recipe.data.batches import Data
from recipe.experiment import build
from recipe.experiment.arms import lane_seeds
from recipe.experiment.budget import FEWEST_SEEDS, budget_of, cost_of
from recipe.files import read_json, write_csv, write_yaml
from recipe.plots.style import INK, drawing
from recipe.stages.runner import Report, Run
from recipe.stages.tune.compare import ACCEPTED, constant_rate
from recipe.stages.tune.within_budget import COMPARED, trained_share
from recipe.verdict import Verdict

FIGURES = "best_so_far.png", "slices.png", "parallel.png", "importances.png"
COLUMNS = ["sampler", "repeat", "trial", "state"]
ACCEPTED_SCORES = "runs/regularize/report.json"


@dataclass(frozen=True)
class Unsearched:
    """In place of the results of a search: why there was none."""

    reason: str

    @property
    def summary(self) -> str:
        return f"The {ACCEPTED} is kept without a search: {self.reason}."


def no_room(cfg: DictConfig, data: Data, accepted: dict) -> Unsearched | None:
    """None where the stage's budget has room for the comparison after a search, as of every small network; without a
    budget, where the network is not fine-tuned, or the search takes no more than `fine_tuning` of conf."""
    if cfg.budget is None:
        return _of_fine_tuning(cfg, data, accepted)
    budget = budget_of(cfg, data, accepted)
    if budget.limit is None or COMPARED * FEWEST_SEEDS * budget.training <= budget.limit:
        return None
    return Unsearched(
        f"a training takes {budget.training:.2g} multiplications, and the stage's budget of {budget.limit:.2g} has no "
        f"room for the {COMPARED * FEWEST_SEEDS} of the comparison after it"
    )


def _of_fine_tuning(cfg: DictConfig, data: Data, accepted: dict) -> Unsearched | None:
    """Where a search of fine-tuned networks takes too long, what it would take, and how to have it all the same."""
    if cfg.fine_tuning is None or not build.unfreezes(change(cfg, accepted)):
        return None
    trials = len(cfg.samplers) * cfg.repeats * cfg.trials * trained_share(cfg)
    trainings = trials * len(lane_seeds(cfg, data, cfg.trial_seeds)) + COMPARED * len(lane_seeds(cfg, data))
    each = cost_of(cfg, data, accepted)
    if trainings * each <= cfg.fine_tuning:
        return None
    return Unsearched(
        f"a search of fine-tuned networks takes {trainings:,.0f} trainings of {each:.2g} multiplications, and "
        f"`fine_tuning` allows {cfg.fine_tuning:.2g} in all. With fewer trials: `tune: {{budget: "
        f"{4 * COMPARED * FEWEST_SEEDS * each:.1e}}}` in params.yaml; with all: `tune: {{fine_tuning: null}}`"
    )


def hand_on(
    unsearched: Unsearched, cfg: DictConfig, data: Data, accepted: dict, run: Run, skipped: list[Verdict]
) -> Report:  # fmt: skip
    """Writes the files of a search that had no trial. The scores are those of regularize."""
    run.say(unsearched.summary)
    changes = accepted | constant_rate(cfg)
    write_yaml(run.out / "best.yaml", changes)
    write_yaml(run.out / "finished.yaml", [changes])
    write_csv(run.out / "trials.csv", [], COLUMNS)
    for name in FIGURES:
        with drawing(run.out / name, width=6.8, height=0.6) as (_, axis):
            axis.axis("off")
            axis.text(0.5, 0.5, "no search", color=INK, ha="center", va="center")
    (known,) = read_json(ACCEPTED_SCORES)["metrics"]
    scores = {name: known[name] for name in ("val_loss", f"val_{data.metric.name}")}
    metrics = scores | {"gain": 0.0, "trials": 0, "pruned": 0, "failed": 0}
    return Report(metrics, skipped, metric=data.metric, summary=unsearched.summary)
