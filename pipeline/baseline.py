"""Baseline: does the training code work, and what must every model beat?

Reads   runs/prepare/{inputs.npy,store.json}, runs/split/{train,val}.csv
Writes  runs/baseline/report.json, baselines/, curves.png, door.png, dynamics.png
"""

from recipe.checks.examine import CHECKS
from recipe.checks.measurements.batch_capture import captured_batches
from recipe.experiment.saved import save_baselines
from recipe.plots import training as figures
from recipe.stages.baseline import captions, checks, scattered_copies
from recipe.stages.baseline.baselines import subject_of, train_baselines
from recipe.stages.runner import Report, stage
from recipe.stages.setup_from_config import examined, setup_from
from recipe.stages.splits import load_data
from recipe.verdict import checks_of


@stage("baseline", CHECKS | checks_of(checks))
def main(cfg, run):
    data = load_data(run)
    setup = setup_from(cfg, data)
    figures.first_batch(run.out / "door.png", captured_batches(setup), data)
    verdicts = examined(run, setup)
    baselines = train_baselines(cfg, data, run)
    save_baselines(run.out / "baselines", baselines)
    verdicts += run.judge(checks, subject_of(cfg, data, baselines))
    figures.curves(run.out / "curves.png", captions.curves(baselines))
    figures.dynamics(run.out / "dynamics.png", *baselines[-1].learning_of_a_batch(data))
    scores = [baseline.score() for baseline in baselines]
    return Report(
        captions.metrics(scores, data.metric), verdicts, scores=scores, metric=data.metric,
        evidence=captions.EVIDENCE, figures=captions.FIGURES, summary=captions.summary(scores, data.metric),
        findings=scattered_copies.findings(data, cfg.seed),
    )  # fmt: skip


if __name__ == "__main__":
    main()
