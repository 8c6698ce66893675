"""Overfit: which is the smallest model that learns the training set by heart?

Reads   runs/prepare/{inputs.npy,store.json}, runs/split/{train,val}.csv, runs/baseline/exact.json
Writes  runs/overfit/best.yaml, model.safetensors, history.csv, report.json, ladder.png
"""

from recipe.checks.examine import CHECKS
from recipe.config.compose import change
from recipe.experiment.arms import score
from recipe.files import write_csv, write_yaml
from recipe.plots import training as figures
from recipe.stages.overfit import captions, checks
from recipe.stages.overfit.capacity_ladder import climb, handed_on, lowest, pick, predictions
from recipe.stages.runner import Report, stage
from recipe.stages.setup_from_config import OF_THE_MODEL, examined, setup_from
from recipe.stages.splits import load_data
from recipe.train.checkpoint import save_weights
from recipe.verdict import checks_of


@stage("overfit", CHECKS | checks_of(checks))
def main(cfg, run):
    data = load_data(run)
    rungs = climb(cfg, data, run, floor := lowest(data))
    best = pick(rungs, floor + cfg.enough)
    chosen = handed_on(cfg, best)
    verdicts = examined(run, setup_from(change(cfg, chosen), data), only=OF_THE_MODEL)
    verdicts += run.judge(checks, checks.subject(cfg, rungs, best, floor))
    write_yaml(run.out / "best.yaml", chosen)
    save_weights(best.trained.last, run.out / "model.safetensors")
    write_csv(run.out / "history.csv", [{"rung": r.name, **row} for r in rungs for row in r.trained.curve])
    figures.curves(run.out / "ladder.png", {r.name: [r.trained.curve] for r in rungs})
    row = score(f"overfit, {best.name}", [best.trained.curve[-1]])
    return Report(
        captions.metrics(best, row), verdicts, predictions(rungs, cfg.ladder.key), scores=[row],
        evidence=captions.EVIDENCE, figures=captions.FIGURES, summary=captions.summary(best),
    )  # fmt: skip


if __name__ == "__main__":
    main()
