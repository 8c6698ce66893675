"""Ensemble: the best configuration over seeds, averaged; the test set is read here, once.

Reads   runs/prepare/ (the store), runs/split/{train,val,test}.csv, runs/tune/{best.yaml,report.json}
Writes  runs/ensemble/system/ (what `recipe predict` loads), predictions.csv, sizes.csv, mispredictions.html,
        suspects.csv (lines for decisions.csv, to be judged), report.json, pictures
"""

from recipe import mispredictions, system
from recipe.checks import ensemble as claims
from recipe.checks.verdict import checks_of
from recipe.checks.verdict import run as run_checks
from recipe.data.batches import load
from recipe.data.fresh import example
from recipe.data.store import Store
from recipe.figures import scores as figures
from recipe.figures.training import pictures
from recipe.files import read_yaml, write_csv
from recipe.members import final_of, mispredicted, train_members
from recipe.parts import plain
from recipe.predict import frame
from recipe.stage import Report, stage


@stage("ensemble", checks_of(claims))
def main(cfg, run):
    data = load(
        plain(cfg, "data"), run.device, test=True, memory=cfg.runtime.memory, workers=cfg.runtime.workers, say=run.say
    )
    run.tracker.data(cfg.data._target_, data.fingerprint, "test")
    store = Store.open(plain(cfg, "data"))
    team = train_members(cfg, data, read_yaml("runs/tune/best.yaml"), run)
    system.save(run.out / "system", cfg, data, team.chosen)
    final = system.load(run.out / "system", run.device)
    write_csv(run.out / "predictions.csv", team.predictions(data))
    write_csv(run.out / "sizes.csv", team.sizes)
    figures.ensemble_sizes(run.out / "sizes.png", team.sizes)
    figures.reliability(run.out / "reliability.png", team.reliability(data))
    pictures(run.out / "mispredictions.png", *mispredicted(team, data), columns=8)
    doubts = mispredictions.look(run.out, final, data, store, cfg.data._target_.rsplit(".", 1)[-1], cfg.seed)
    request = example(final.form, store)
    run.tracker.model(run.out / "system", request, frame(final, request), register=run.in_dvc)
    test, (low, high) = team.test, team.test.interval()
    return Report(
        metrics={"test_accuracy": test.accuracy, "test_accuracy_low": low, "test_accuracy_high": high,
                 "test_nll": test.nll, "test_ece": test.ece, "val_accuracy": team.val.accuracy,
                 "val_nll": team.val.nll},
        checks=run_checks(checks_of(claims), final_of(data, team, run.out, final, store), limits=cfg.checks,
                          waive=cfg.waive, where="conf/ensemble.yaml"),
        predictions=[team.prediction()],
        scores=team.scores(),
        evidence={"ensemble_beats_its_best_member": ["sizes.png"],
                  "final_score_beats_the_constant": ["mispredictions.html"]},
        figures={"sizes.png": "score and calibration against the number of members",
                 "mispredictions.png": "every wrong answer on test, the most confident first: label → answer",
                 "reliability.png": "what the ensemble's confidence is worth"},
        findings=[doubts],
        summary=f"{cfg.members} members: {test.accuracy:.1%} on test (95 % interval {low:.1%} to {high:.1%}), "
        f"n = {test.count}.",
    )  # fmt: skip


if __name__ == "__main__":
    main()
