"""Tune: does a search find something better than the accepted recipe?

Reads   runs/prepare/{inputs.npy,store.json}, runs/split/{train,val}.csv, runs/regularize/{best.yaml,report.json}
Writes  runs/tune/best.yaml, trials.csv, report.json, best_so_far.png, slices.png, importances.png
"""

from recipe.checks import tune
from recipe.checks.verdict import checks_of
from recipe.checks.verdict import run as run_checks
from recipe.data.batches import load
from recipe.figures import search as figures
from recipe.files import read_yaml, write_csv, write_yaml
from recipe.parts import plain
from recipe.search import best_so_far, compare, journal_of, read_space, set_aside, studies
from recipe.stage import Report, stage


@stage("tune", checks_of(tune))
def main(cfg, run):
    data = load(plain(cfg, "data"), run.device, memory=cfg.runtime.memory, workers=cfg.runtime.workers, say=run.say)
    run.tracker.data(cfg.data._target_, data.fingerprint, "training")
    accepted, space = read_yaml("runs/regularize/best.yaml"), read_space(cfg)
    journal = journal_of(cfg, data, accepted, run)
    trials, importance = studies(cfg, data, accepted, journal, run)
    found = compare(cfg, data, accepted, trials, run)
    write_yaml(run.out / "best.yaml", found.handed_on)
    rows = [t.row() for mine in trials.values() for t in mine]
    write_csv(run.out / "trials.csv", rows)
    figures.searches(run.out / "best_so_far.png", {s: best_so_far(t) for s, t in trials.items()}, found.reference)
    figures.slices(run.out / "slices.png", rows, list(space), [bool(r.get("log")) for r in space.values()])
    figures.bars(
        run.out / "importances.png",
        importance,
        "what matters among the better trials",
        "PED-ANOVA importance",
    )
    subject = tune.Search(trials, found.best, found.again, found.gain, found.edges, cfg.trials)
    better = "handed on" if found.gain.real else "within seed noise: the accepted recipe is handed on"
    report = Report(
        metrics={"val_loss": found.score["val_loss"], "val_accuracy": found.score["val_accuracy"],
                 "gain": found.gain.mean, "trials": len(rows)},
        checks=run_checks(checks_of(tune), subject, limits=cfg.checks, waive=cfg.waive, where="conf/tune.yaml"),
        predictions=[found.prediction],
        scores=[found.score],
        evidence={"best_is_inside_the_space": ["slices.png"], "gain_is_more_than_noise": ["best_so_far.png"]},
        figures={"best_so_far.png": "best validation loss against trials, both samplers",
                 "slices.png": "every trial against each searched key",
                 "importances.png": "importance by PED-ANOVA over the random trials"},
        summary=f"Best of {len(rows)} trials ({found.best.sampler}): val_loss lower by {found.gain.mean:+.4f} "
        f"[{found.gain.low:+.4f}, {found.gain.high:+.4f}] over {found.gain.n} fresh seeds; {better}.",
    )  # fmt: skip
    set_aside(journal)
    return report


if __name__ == "__main__":
    main()
