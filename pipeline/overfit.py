"""Overfit: which is the smallest model that learns the training set by heart?

Reads   runs/prepare/{inputs.npy,store.json}, runs/split/{train,val}.csv, runs/baseline/exact.json
Writes  runs/overfit/best.yaml, model.safetensors, history.csv, report.json, ladder.png
"""

from recipe.checks.examine import CHECKS, examine
from recipe.config.compose import change
from recipe.config.instantiate import data_name, plain
from recipe.data.batches import load
from recipe.experiment.arms import score
from recipe.files import read_json, write_csv, write_yaml
from recipe.plots import training as figures
from recipe.stages import setup_from_config
from recipe.stages.overfit import checks as overfit_checks
from recipe.stages.overfit.capacity_ladder import climb, handed_on, lowest, pick, predictions
from recipe.stages.runner import Report, stage
from recipe.train.checkpoint import save_weights
from recipe.verdict import checks_of
from recipe.verdict import run as run_checks

KNOWN = CHECKS | checks_of(overfit_checks)


@stage("overfit", KNOWN)
def main(cfg, run):
    data = load(plain(cfg, "data"), run.device, memory=cfg.runtime.memory, workers=cfg.runtime.workers, say=run.say)
    run.tracker.data(data_name(cfg), data.fingerprint, "training")
    baseline = read_json("runs/baseline/exact.json")["scores"][-1]
    floor = lowest(data)
    rungs = climb(cfg, data, run, floor)
    best = pick(rungs, floor + cfg.enough)
    write_yaml(run.out / "best.yaml", handed_on(cfg, best))
    setup = setup_from_config.setup(change(cfg, handed_on(cfg, best)), data)
    verdicts = examine(
        setup,
        only=setup_from_config.OF_THE_MODEL,
        limits=cfg.checks,
        known=KNOWN,
        where="conf/overfit.yaml",
        progress=run.verdict,
    ).verdicts
    save_weights(best.trained.last, run.out / "model.safetensors")
    write_csv(run.out / "history.csv", [{"rung": r.name, **row} for r in rungs for row in r.trained.curve])
    figures.curves(run.out / "ladder.png", {r.name: [r.trained.curve] for r in rungs})

    subject = overfit_checks.Ladder(rungs, best, baseline, cfg.optimizer.get("lr"), cfg.optimizer._target_, floor)
    row = score(f"overfit, {best.name}", [best.trained.curve[-1]])
    return Report(
        metrics={"train_loss": row["train_loss"], "val_loss": row["val_loss"], "val_accuracy": row["val_accuracy"],
                 "parameters": best.parameters, "steps": best.trained.curve[-1]["step"]},
        checks=verdicts + run_checks(checks_of(overfit_checks), subject, limits=cfg.checks, waive=cfg.waive, known=KNOWN,
                                     where="conf/overfit.yaml"),
        predictions=predictions(rungs, cfg.ladder.key),
        scores=[row],
        evidence={"training_set_is_learned": ["ladder.png"], "capacity_lowers_training_loss": ["ladder.png"]},
        figures={"ladder.png": "every rung of the ladder: no regularisation, constant learning rate"},
        summary=f"The smallest model that learns the training set: {best.name}, {best.parameters:,} parameters, "
        f"training loss {best.train_loss:.3f} after {best.trained.curve[-1]['step']} steps.",
    )  # fmt: skip


if __name__ == "__main__":
    main()
