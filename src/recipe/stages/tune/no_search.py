"""Without a search: where the stage's budget has no room for one, the accepted recipe is handed on."""

from dataclasses import dataclass

from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.experiment.budget import FEWEST_SEEDS, budget_of
from recipe.files import read_json, write_csv, write_yaml
from recipe.plots.style import INK, drawing
from recipe.stages.runner import Report, Run
from recipe.stages.tune.compare import ACCEPTED, constant_rate
from recipe.stages.tune.within_budget import COMPARED
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
    """None where the stage's budget has room for the comparison after a search, as of every small network."""
    budget = budget_of(cfg, data, accepted)
    if budget.limit is None or COMPARED * FEWEST_SEEDS * budget.training <= budget.limit:
        return None
    return Unsearched(
        f"a training takes {budget.training:.2g} multiplications, and the stage's budget of {budget.limit:.2g} has no "
        f"room for the {COMPARED * FEWEST_SEEDS} of the comparison after it"
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
