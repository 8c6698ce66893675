"""Regularize: which changes help on validation, by more than seed noise? And what would more data do?

Reads   runs/prepare/, runs/split/{train,val}.csv, runs/baseline/exact.json, runs/overfit/best.yaml
Writes  runs/regularize/best.yaml, steps.csv, learning_curve.csv, activations.csv, report.json, pictures
"""

from recipe.checks.examine import CHECKS
from recipe.experiment.arms import TEST
from recipe.files import read_json, read_yaml, write_csv, write_yaml
from recipe.stages.regularize import ablation, augmentations, learning_curve
from recipe.stages.regularize import checks as claims
from recipe.stages.regularize import figures as pictures
from recipe.stages.regularize.diagnostics import COLUMNS, look_inside
from recipe.stages.runner import Report, stage
from recipe.stages.splits import load_data
from recipe.verdict import checks_of

KNOWN = CHECKS | checks_of(claims)


@stage("regularize", KNOWN)
def main(cfg, run):
    data = load_data(run)
    verdicts, refused = augmentations.examiner(cfg, data, run)
    base, curves = learning_curve.train_shares(cfg, data, read_yaml("runs/overfit/best.yaml"), run)
    result = ablation.climb(cfg, data, base, run, refused)
    inside = look_inside(cfg, data, result.pick)
    write_yaml(run.out / "best.yaml", result.changes)
    write_csv(run.out / "steps.csv", ablation.table(result))
    write_csv(run.out / "learning_curve.csv", learning_curve.rows(curves), ["metric", "examples", "seed", "value"])
    write_csv(run.out / "activations.csv", [a.row() for a in inside.activations], COLUMNS)
    pictures.ladder(run.out / "gains.png", result)
    pictures.learning_curves(run.out / "learning_curve.png", curves)
    pictures.inputs(run.out / "inputs.png", augmentations.pictures(cfg, data, result))
    pictures.first_layer(run.out / "first_layer.png", inside.weights)
    pictures.activations(run.out / "activations.png", inside.activations)
    pictures.curves(run.out / "curves.png", {n: [t.curve for t in a.lanes] for n, a in result.arms().items()})
    row = result.pick.score() | {"system": "regularized"}
    baseline = {s["system"]: s for s in read_json("runs/baseline/exact.json")["scores"]}
    subject = claims.Regularized(result, baseline, inside.structure, inside.activations, inside.error, len(data.val))
    return Report(
        metrics={k: row[k] for k in ("train_loss", "val_loss", "val_accuracy")} | {"kept": len(result.kept)},
        checks=verdicts({}) + run.judge(claims, subject),
        predictions=[s.prediction() for s in result.steps],
        scores=[result.base.score(), row],
        evidence=claims.EVIDENCE,
        figures=claims.FIGURES,
        summary=f"Kept: {', '.join(result.kept) or 'nothing'} ({TEST}, {cfg.confidence:.0%}, n = {cfg.seeds}).",
        findings=[*learning_curve.told(curves, cfg.seeds, cfg.confidence), ablation.by_chance(result, cfg.confidence)],
    )  # fmt: skip


if __name__ == "__main__":
    main()
