"""Tune: does a search find something better than the accepted recipe?

Reads   runs/prepare/{inputs.npy,store.json}, runs/split/{train,val,folds}.csv, runs/regularize/{best.yaml,report.json}
Writes  runs/tune/best.yaml, finished.yaml (configurations that trained to their end, the best first), trials.csv,
        report.json, best_so_far.png, slices.png, parallel.png, importances.png
"""

from functools import partial

from recipe.files import read_yaml
from recipe.stages.runner import Report, stage
from recipe.stages.splits import load_data
from recipe.stages.tune import captions, checks, figures, no_search, results
from recipe.stages.tune.trials import log_trials
from recipe.stages.tune.worker import kept_until_done, open_search, take_part
from recipe.stages.tune.worker_process import worker_processes
from recipe.verdict import checks_of


@stage("tune", checks_of(checks))
def main(cfg, run):
    accepted, data = read_yaml("runs/regularize/best.yaml"), load_data(run, folds=True)
    if unsearched := no_search.no_room(cfg, data, accepted):
        return no_search.hand_on(unsearched, cfg, data, accepted, run, run.judge(checks, unsearched))
    search = open_search(cfg, data, accepted, run.code_and_data, run.home, run.say)
    with kept_until_done(search):
        with worker_processes(cfg, run.say):
            take_part(search, partial(log_trials, search.setup, run))
        tuning = results.evaluate(search, run)
        results.write_tables(run.out, tuning)
        figures.draw(run.out, tuning)
        return Report(
            tuning.metrics(), run.judge(checks, tuning), tuning.predictions(), scores=[tuning.tuned.score],
            metric=search.setup.data.metric, evidence=captions.EVIDENCE, figures=captions.figures(tuning),
            summary=captions.summary(tuning), findings=captions.findings(tuning),
        )  # fmt: skip


if __name__ == "__main__":
    main()
