"""Ensemble: squeeze out what is left on validation, then read the test set once.

Reads   runs/prepare/ (the store), runs/split/{train,val,test}.csv, runs/baseline/baselines/,
        runs/tune/{best.yaml,finished.yaml,report.json}
Writes  runs/ensemble/members/*.safetensors, choice.yaml, system/ (what `recipe predict` loads), predictions.parquet,
        sizes.csv, calibration.csv, longer.csv, comparisons.csv, mispredictions.html, suspects.csv (lines for
        decisions.csv, to be judged), report.json, pictures
"""

from recipe.config.instantiate import data_name, plain
from recipe.data.store import Store
from recipe.files import read_yaml, write_yaml
from recipe.plots.training import pictures
from recipe.serve import system
from recipe.serve.inputs import example
from recipe.serve.predict import frame
from recipe.stages.ensemble import checks as claims
from recipe.stages.ensemble import figures, member_weights, mispredictions, results
from recipe.stages.ensemble.distillation import distil
from recipe.stages.ensemble.extended_training import leave_it_training
from recipe.stages.ensemble.final_evaluation import mispredicted
from recipe.stages.ensemble.members import configurations, train_pool
from recipe.stages.runner import Report, stage
from recipe.stages.splits import load_data, load_test
from recipe.verdict import checks_of


@stage("ensemble", checks_of(claims))
def main(cfg, run):
    name = data_name(cfg)
    data = load_data(run)
    arms = configurations(read_yaml("runs/tune/best.yaml"), read_yaml("runs/tune/finished.yaml"), cfg.top)
    pool = train_pool(cfg, data, arms, run)
    chosen = member_weights.choose(member_weights.stacked(pool), data.val.y.cpu(), member_weights.seeds_of(pool))
    write_yaml(run.out / "choice.yaml", member_weights.content(chosen, pool))
    members = [(m.changes, run.out / m.file, n) for m, n in zip(pool, chosen.times, strict=True) if n]
    own = system.save(run.out / "system", cfg, data, members, chosen.temperature)
    if own:
        flags = " ".join(f"--trust {name}" for name in own)
        run.say(f"the system is built of code of your own, which needs consent: recipe predict {flags} ...")
    longer = leave_it_training(cfg, data, pool[0], run) if cfg.longer else None
    student = distil(cfg, data, pool, chosen, run) if cfg.distil else None

    # all that is chosen is chosen, and on disk; only now is the test set read
    test = load_test(run, data)
    found = results.measured(cfg, data, test, pool, chosen, longer, student, run.out)
    results.tables(found, run.out)
    figures.sizes(run.out / "sizes.png", found.sizes, chosen.path)
    figures.reliabilities(run.out / "reliability.png", found.averaged.p_test, found.y_test, chosen, found.on_test)
    figures.ladder(run.out / "systems.png", found.systems, found.y_test)
    figures.longer(run.out / "longer.png", longer)
    pictures(run.out / "mispredictions.png", *mispredicted(found.final.p_test, test, data), columns=8)
    store, final = Store.open(plain(cfg, "data")), system.load(run.out / "system", run.device, trust=own)
    fresh = final.predict(store.inputs[store.rows(test.ids)])
    doubts = mispredictions.look(run.out, final, data, test, store, name, cfg.seed)
    request = example(final.form, store)
    run.tracker.model(run.out / "system", request, frame(final, request), register=run.in_dvc)
    subject = results.subject(data, test, found, run.out, fresh)
    result, *findings = results.findings(found)
    return Report(
        metrics=results.metrics(found),
        checks=run.judge(claims, subject),
        predictions=results.predictions(found),
        scores=results.scores(found),
        evidence={"ensemble_beats_its_best_member": ["sizes.png"],
                  "temperature_helps_where_it_was_not_fitted": ["reliability.png"],
                  "final_beats_the_untuned_baseline": ["systems.png"],
                  "final_score_beats_the_constant": ["mispredictions.html"],
                  "training_was_long_enough": ["longer.png"]},
        figures={"systems.png": "every system on the test set, read once, with 95 % intervals",
                 "sizes.png": "score and calibration against the number of members; shaded: 95 % over which members",
                 "reliability.png": "what the confidence is worth on test, before and after the temperature",
                 "longer.png": "one network left training; dotted: on train",
                 "mispredictions.png": "every wrong answer on test, the most confident first: label → answer"},
        summary=result,
        findings=[*findings, doubts],
    )  # fmt: skip


if __name__ == "__main__":
    main()
