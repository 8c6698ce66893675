"""Tune: does a search find something better than the accepted recipe?

Reads   runs/prepare/{inputs.npy,store.json}, runs/split/{train,val}.csv, runs/regularize/{best.yaml,report.json}
Writes  runs/tune/best.yaml, finished.yaml (what trained to its end, the best first), trials.csv, report.json,
        best_so_far.png, slices.png, parallel.png, importances.png
"""

from recipe.files import read_yaml, write_csv, write_yaml
from recipe.stages.runner import Report, stage
from recipe.stages.splits import load_data
from recipe.stages.tune import checks as tune_checks
from recipe.stages.tune import figures
from recipe.stages.tune.compare import compare, finished, importances, progress, rivals, summary, unmodelled
from recipe.stages.tune.join import helped
from recipe.stages.tune.trials import log
from recipe.stages.tune.worker import NothingFound, open_search, take_part, trials_of
from recipe.verdict import checks_of


@stage("tune", checks_of(tune_checks))
def main(cfg, run):
    data = load_data(run)
    search = open_search(cfg, data, read_yaml("runs/regularize/best.yaml"), run.code_and_data, run.home, run.say)
    try:
        with helped(cfg, run.say):
            take_part(search, lambda trials: log(search.work, trials, run))
    except NothingFound:
        search.set_aside()
        raise
    trials = trials_of(search)
    found, between = compare(search, trials, run), rivals(cfg, trials)
    write_yaml(run.out / "best.yaml", found.handed_on)
    every = [t for mine in trials.values() for t in mine]
    write_yaml(run.out / "finished.yaml", finished(search.work.space, search.work.start, every))
    rows = [t.row(search.work.space) for t in every]
    write_csv(run.out / "trials.csv", rows)
    axes = {key: range_.axis() for key, range_ in search.work.space.items()}
    figures.searches(run.out / "best_so_far.png", *progress(trials, cfg.confidence), found.reference)
    figures.slices(run.out / "slices.png", rows, axes)
    figures.parallel(run.out / "parallel.png", rows, axes)
    blind, shares = unmodelled(trials), importances(search.work.space, unmodelled(trials))
    title = "what matters among the better trials"
    figures.bars(run.out / "importances.png", shares, title, "PED-ANOVA importance")
    subject = tune_checks.Search(trials, found.best, found.again, found.gain, found.edges, cfg.trials, cfg.repeats)
    report = Report(
        metrics={"val_loss": found.score["val_loss"], "val_accuracy": found.score["val_accuracy"],
                 "gain": found.gain.mean, "trials": len(rows),
                 **{state: sum(r["state"] == state for r in rows) for state in ("pruned", "failed")}},
        checks=run.judge(tune_checks, subject),
        predictions=[found.prediction, *between],
        scores=[found.score],
        evidence={"best_is_inside_the_space": ["slices.png"], "gain_is_more_than_noise": ["best_so_far.png"],
                  "trials_come_to_an_end": ["trials.csv"]},
        figures={"best_so_far.png": f"best validation loss against trials, over {cfg.repeats} repeats; at the end the "
                 f"{cfg.confidence:.0%} interval of the mean",
                 "slices.png": "every trial against each searched key",
                 "parallel.png": "every trial as a line through its values",
                 "importances.png": f"importance by PED-ANOVA over the {len(blind)} trials that no model chose: which "
                 "keys tell the better trials from the rest, not which move the loss most"},
        summary=summary(found, len(rows)),
        findings=[f"{p['change']}: {p['measured']}." for p in between],
    )  # fmt: skip
    search.set_aside()
    return report


if __name__ == "__main__":
    main()
