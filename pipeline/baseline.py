"""Baseline: does the training code work, and what must every model beat?

Reads   runs/prepare/{inputs.npy,store.json}, runs/split/{train,val}.csv
Writes  runs/baseline/report.json, floors/, curves.png, door.png, dynamics.png
"""

from recipe.checks.examine import CHECKS, examine
from recipe.checks.inputs import at_the_door
from recipe.config.instantiate import data_name, plain
from recipe.data.batches import load
from recipe.experiment.saved import save_floors
from recipe.plots import training as figures
from recipe.stages import setup_from_config
from recipe.stages.baseline import checks as baseline_checks
from recipe.stages.baseline.baselines import subject_of, train_floors
from recipe.stages.runner import Report, stage
from recipe.verdict import checks_of
from recipe.verdict import run as run_checks

KNOWN = CHECKS | checks_of(baseline_checks)


@stage("baseline", KNOWN)
def main(cfg, run):
    data = load(plain(cfg, "data"), run.device, memory=cfg.runtime.memory, workers=cfg.runtime.workers, say=run.say)
    run.tracker.data(data_name(cfg), data.fingerprint, "training")
    setup = setup_from_config.setup(cfg, data)
    door = at_the_door(setup)
    names = [data.classes[int(c)] for c in door.given[0][1]]
    figures.pictures(run.out / "door.png", data.pictures(door.entered[0]), names)

    verdicts = examine(setup, limits=cfg.checks, known=KNOWN, where="conf/baseline.yaml", progress=run.verdict).verdicts
    floors = train_floors(cfg, data, run)
    save_floors(run.out / "floors", floors)
    scores = [floor.score() for floor in floors]
    subject = subject_of(cfg, data, floors)
    verdicts += run_checks(
        checks_of(baseline_checks), subject, limits=cfg.checks, waive=cfg.waive, known=KNOWN, where="conf/baseline.yaml"
    )
    figures.curves(run.out / "curves.png", {f.name: [t.curve for t in f.trained] for f in floors[1:]})
    figures.dynamics(run.out / "dynamics.png", *floors[-1].watched(data))
    return Report(
        metrics={k: scores[-1][k] for k in ("train_loss", "train_accuracy", "val_loss", "val_accuracy")},
        checks=verdicts,
        scores=scores,
        evidence={"inputs_are_scaled": ["door.png"], "beats_a_blind_model": ["dynamics.png"]},
        figures={
            "door.png": "the first training batch as it enters the net, decoded, with its labels",
            "curves.png": "each floor's losses, a line per seed",
            "dynamics.png": "prediction dynamics: a fixed validation batch over the course of training",
        },
        summary=f"{scores[-1]['system']}: {scores[-1]['val_accuracy']:.1%} on validation; floors "
        + ", ".join(f"{s['system']} {s['val_accuracy']:.1%}" for s in scores[:-1]) + ".",
    )  # fmt: skip


if __name__ == "__main__":
    main()
