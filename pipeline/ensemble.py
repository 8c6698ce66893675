"""Ensemble: average and calibrate what validation chooses, then read the test set once.

Reads   runs/prepare/, runs/split/{train,val,test,folds}.csv, runs/baseline/baselines/,
        runs/regularize/trainings/, runs/tune/{best,finished}.yaml
Writes  runs/ensemble/{members/,choice.yaml,system/,report.json,mispredictions.html,suspects.csv}, tables and figures
"""

from recipe.files import read_yaml
from recipe.stages.ensemble import captions, checks, figures, final_system, member_weights, mispredictions, results
from recipe.stages.ensemble.distillation import distil
from recipe.stages.ensemble.extended_training import extend_training
from recipe.stages.ensemble.members import train_pool
from recipe.stages.runner import Report, stage
from recipe.stages.splits import load_data, load_test
from recipe.verdict import checks_of


@stage("ensemble", checks_of(checks))
def main(cfg, run):
    data = load_data(run, folds=True)
    best, finished = read_yaml("runs/tune/best.yaml"), read_yaml("runs/tune/finished.yaml")
    pool = train_pool(cfg, data, best, finished, run, "runs/regularize/trainings")
    weights = member_weights.choose(data.task, pool, data.actual_held_out, run.out / "choice.yaml")
    trusted = final_system.save(cfg, data, pool, weights, run)
    extended, student = extend_training(cfg, data, pool[0], run), distil(cfg, data, pool, weights, run)
    test = load_test(run, data)  # every choice is made and on disk: only now is the test set read
    tested = results.evaluate(cfg, data, test, results.Candidates(pool, weights, extended, student, run.out))
    results.write_tables(run.out, tested)
    figures.draw(run.out, tested, data, test)
    final = final_system.load_and_log(cfg, run, trusted)
    doubts = mispredictions.write(run, final, data, test, results.fine_tuned_predictions(tested, final.system))
    return Report(
        results.metrics(tested), run.judge(checks, results.evidence(data, test, tested, final.predictions(test))),
        results.predictions(tested), captions.EVIDENCE, captions.figure_captions(tested), results.scores(tested),
        captions.summary(tested), [*captions.findings(tested), doubts], metric=data.metric,
    )  # fmt: skip


if __name__ == "__main__":
    main()
