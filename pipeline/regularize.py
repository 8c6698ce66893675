"""Regularize: which changes help on validation, by more than seed noise?

Reads   runs/prepare/, runs/split/{train,val}.csv, runs/baseline/report.json, runs/overfit/best.yaml
Writes  runs/regularize/best.yaml, steps.csv, report.json, gains.png, curves.png, augmented.png
"""

from recipe import build, examined
from recipe.ablation import TEST, regularize, table
from recipe.checks import regularize as claims
from recipe.checks.verdict import checks_of
from recipe.checks.verdict import run as run_checks
from recipe.config import change
from recipe.data.batches import load
from recipe.examination import CHECKS, examine
from recipe.figures import training as figures
from recipe.files import read_json, read_yaml, write_csv, write_yaml
from recipe.parts import plain
from recipe.stage import Report, stage

KNOWN = CHECKS | checks_of(claims)


@stage("regularize", KNOWN)
def main(cfg, run):
    data = load(plain(cfg, "data"), run.device, memory=cfg.runtime.memory, workers=cfg.runtime.workers, say=run.say)
    run.tracker.data(cfg.data._target_, data.fingerprint, "training")
    setup = examined.setup(change(cfg, {"train.augment": True}), data)
    verdicts = examine(
        setup, only=examined.OF_THE_AUGMENTATION, limits=cfg.checks, known=KNOWN, where="conf/regularize.yaml",
        progress=run.verdict,
    ).verdicts  # fmt: skip
    baseline = {s["system"]: s for s in read_json("runs/baseline/report.json")["scores"]}
    result = regularize(cfg, data, read_yaml("runs/overfit/best.yaml"), run)
    write_yaml(run.out / "best.yaml", result.changes)
    write_csv(run.out / "steps.csv", table(result))
    tried = [s for s in result.steps if s.gain]
    figures.gains(
        run.out / "gains.png",
        [s.name for s in tried],
        [s.gain.mean for s in tried],
        [s.gain.low for s in tried],
        [s.gain.high for s in tried],
        [s.kept for s in tried],
    )
    arms = {"no regularisation": result.base, **{s.name: s.arm for s in tried}}
    figures.curves(run.out / "curves.png", {n: [t.curve for t in a.lanes] for n, a in arms.items()})
    figures.pictures(run.out / "augmented.png", *build.augmented(cfg, data))
    kept = [s.name for s in result.steps if s.kept]
    row = result.pick.score() | {"system": "regularized"}
    return Report(
        metrics={k: row[k] for k in ("train_loss", "val_loss", "val_accuracy")} | {"kept": len(kept)},
        checks=verdicts + run_checks(checks_of(claims), claims.Regularized(result, baseline), limits=cfg.checks,
                                     waive=cfg.waive, known=KNOWN, where="conf/regularize.yaml"),
        predictions=[s.prediction() for s in result.steps],
        scores=[result.base.score(), row],
        evidence={"something_helped": ["gains.png"]},
        figures={"gains.png": f"{TEST}, {cfg.confidence:.0%}; n = {cfg.seeds} seeds",
                 "augmented.png": "an example per row: as it is, then augmented",
                 "curves.png": "every arm, a line per seed"},
        summary=f"Kept: {', '.join(kept) or 'nothing'} ({TEST}, {cfg.confidence:.0%}, n = {cfg.seeds}).",
    )  # fmt: skip


if __name__ == "__main__":
    main()
