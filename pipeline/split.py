"""Split: which examples train, which choose, which judge; written once, as decisions.csv leaves them.

Reads   runs/audit/examples.parquet, runs/prepare/store.json, decisions.csv
Writes  runs/split/{train,val,test,classes}.csv, copies.csv (lines for decisions.csv), classes.png, report.json
"""

from recipe.config.instantiate import plain
from recipe.data import decisions, expected_repeats, splits
from recipe.data.source import FEATURES
from recipe.data.store import Store
from recipe.files import read_table, write_csv
from recipe.plots import examples as figures
from recipe.stages.runner import Report, stage
from recipe.stages.split import captions as split_captions
from recipe.stages.split import checks as claims
from recipe.stages.split.divide import Plan, divide
from recipe.verdict import checks_of
from recipe.verdict import run as run_checks


@stage("split", checks_of(claims))
def main(cfg, run):
    store = Store.open(plain(cfg, "data"))
    examples = read_table("runs/audit/examples.parquet")
    decided = decisions.read_decisions(cfg.decisions, {e["id"] for e in examples}, store.classes)
    plan = Plan(cfg.val, cfg.test, cfg.seed, cfg.given, cfg.by, cfg.column, cfg.rare)
    made = divide(decisions.decide(examples, decided, store.classes), store.classes, plan)
    splits.write_split(made.parts, made.classes, run.out)
    write_csv(run.out / "copies.csv", split_captions.proposals(made), decisions.COLUMNS)
    rows = expected_repeats.repeats(store.inputs) if store.kind == FEATURES and made.given else None
    written = claims.Written(splits.read_split(run.out), made, store.dates(), rows)
    verdicts = run_checks(
        checks_of(claims), written, limits=cfg.checks, waive=cfg.waive,
        where="conf/split.yaml",
    )  # fmt: skip
    counts = {name: written.counts(name).tolist() for name in made.parts}
    figures.class_counts(run.out / "classes.png", made.classes, counts, "examples per class and split")
    summary, how = split_captions.summary(made, decided), split_captions.sentences(made)
    for text in (summary, *how):
        run.say(text)
    shown = {"classes.png": "Examples per class in train, val and test, after decisions.csv."}
    evidence = {name: ["classes.png"] for name in ("class_shares_agree", "every_class_is_in_every_split")}
    evidence["no_copies_across_splits"] = ["copies.csv"]
    return Report(
        split_captions.metrics(made, decided), verdicts, evidence=evidence, figures=shown, summary=summary,
        findings=[*how, *split_captions.reasons(decided)],
    )  # fmt: skip


if __name__ == "__main__":
    main()
