"""Overfit: which is the smallest model that learns the training set by heart, or overfits it?

Reads   runs/prepare/{inputs.npy,store.json}, runs/split/{train,val}.csv, runs/baseline/exact.json
Writes  runs/overfit/best.yaml, model.safetensors, history.csv, report.json, ladder.png
"""

from recipe.checks.examine import CHECKS
from recipe.config.changes import change
from recipe.files import write_csv, write_yaml
from recipe.plots import training as figures
from recipe.stages.overfit import capacity_ladder as ladder
from recipe.stages.overfit import captions, checks
from recipe.stages.runner import Report, stage
from recipe.stages.setup_from_config import OF_THE_MODEL, examined, setup_from
from recipe.stages.splits import load_data
from recipe.train.checkpoint import save_weights
from recipe.verdict import checks_of


@stage("overfit", CHECKS | checks_of(checks))
def main(cfg, run):
    data = load_data(run)
    models = ladder.train_ladder(cfg, data, run, enough := ladder.enough_loss(cfg, data))
    best = ladder.smallest_that_fits(models, enough, checks.baselines_score()["train_loss"])
    changes = ladder.changes_for_later_stages(cfg, best, enough)
    verdicts = examined(run, setup_from(change(cfg, changes), data), only=OF_THE_MODEL)
    verdicts += run.judge(checks, checks.subject(cfg, data, models, best, enough))
    write_yaml(run.out / "best.yaml", changes)
    save_weights(best.trained.last, run.out / "model.safetensors")
    write_csv(run.out / "history.csv", ladder.history(models))
    figures.curves(run.out / "ladder.png", {m.name: [m.trained.curve] for m in models})
    return Report(
        captions.metrics(best, data.metric), verdicts, ladder.predictions(models),
        scores=[captions.score_row(best)], metric=data.metric,
        evidence=captions.EVIDENCE, figures=captions.FIGURES, summary=captions.summary(best, enough),
    )  # fmt: skip


if __name__ == "__main__":
    main()
