"""Baseline: does the training code work, and what must every model beat?

Reads   runs/prepare/{inputs.npy,store.json}, runs/split/{train,val}.csv
Writes  runs/baseline/report.json, floors/, curves.png, door.png, dynamics.png
"""

from recipe.checks.examine import CHECKS
from recipe.checks.inputs import at_the_door
from recipe.experiment.saved import save_floors
from recipe.plots import training as figures
from recipe.stages.baseline import captions, checks
from recipe.stages.baseline.baselines import subject_of, train_floors
from recipe.stages.runner import Report, stage
from recipe.stages.setup_from_config import examined, setup_from
from recipe.stages.splits import load_data
from recipe.verdict import checks_of


@stage("baseline", CHECKS | checks_of(checks))
def main(cfg, run):
    data = load_data(run)
    setup = setup_from(cfg, data)
    figures.first_batch(run.out / "door.png", at_the_door(setup), data)
    verdicts = examined(run, setup)
    floors = train_floors(cfg, data, run)
    save_floors(run.out / "floors", floors)
    verdicts += run.judge(checks, subject_of(cfg, data, floors))
    figures.curves(run.out / "curves.png", {f.name: [t.curve for t in f.trained] for f in floors[1:]})
    figures.dynamics(run.out / "dynamics.png", *floors[-1].watched(data))
    scores = [floor.score() for floor in floors]
    return Report(
        {k: scores[-1][k] for k in captions.METRICS}, verdicts, scores=scores,
        evidence=captions.EVIDENCE, figures=captions.FIGURES, summary=captions.summary(scores),
    )  # fmt: skip


if __name__ == "__main__":
    main()
