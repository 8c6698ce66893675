"""Regularize: which changes help on validation, by more than seed noise? And what would more data do?

Reads   runs/prepare/, runs/split/{train,val,folds}.csv, runs/baseline/exact.json, runs/overfit/best.yaml
Writes  runs/regularize/best.yaml, trainings/, steps.csv, learning_curve.csv, activations.csv, report.json, figures
"""

from recipe.checks.examine import CHECKS
from recipe.files import read_yaml, write_csv
from recipe.stages.regularize import ablation, augmentations, captions, checks, diagnostics, figures, learning_curve
from recipe.stages.regularize.within_budget import within_budget
from recipe.stages.runner import Report, stage
from recipe.stages.splits import load_data
from recipe.verdict import checks_of


@stage("regularize", CHECKS | checks_of(checks))
def main(cfg, run):
    data = load_data(run, folds=True)
    verdicts, closed_gates = augmentations.augmentation_checks(cfg, data, run)
    start = read_yaml("runs/overfit/best.yaml")
    cfg, budget = within_budget(cfg, data, start)
    base, curves = learning_curve.train_shares(cfg, data, start, run)
    result = ablation.run_ablation(cfg, data, base, run, closed_gates, budget)
    diagnosed = diagnostics.diagnose(cfg, data, result.accepted)
    ablation.write(run.out, cfg, data, result)
    write_csv(run.out / "learning_curve.csv", learning_curve.rows(curves), learning_curve.COLUMNS)
    write_csv(run.out / "activations.csv", [a.row() for a in diagnosed.activations], diagnostics.COLUMNS)
    figures.draw(run.out, result, curves, diagnosed, augmentations.example_rows(cfg, data, result))
    return Report(
        captions.metrics(result, data.metric),
        verdicts({}) + run.judge(checks, checks.subject(result, diagnosed, cfg, data)),
        [candidate.prediction() for candidate in result.candidates], scores=captions.scores(result), metric=data.metric,
        evidence=captions.EVIDENCE, figures=captions.figure_captions(diagnosed), summary=captions.summary(result, cfg),
        findings=captions.findings(result, curves, cfg),
    )  # fmt: skip


if __name__ == "__main__":
    main()
