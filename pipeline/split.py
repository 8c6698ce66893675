"""Split: which examples train, which choose, which judge; written once, as decisions.csv leaves them.

Reads   runs/audit/examples.parquet, runs/prepare/store.json, decisions.csv
Writes  runs/split/{train,val,test,classes}.csv, copies.csv (lines for decisions.csv), classes.png, report.json
"""

from recipe.audit import coincidence
from recipe.checks import split as claims
from recipe.checks.verdict import checks_of
from recipe.checks.verdict import run as run_checks
from recipe.data import decisions, division_report, split
from recipe.data.contract import FEATURES
from recipe.data.division import Plan, divide
from recipe.data.store import Store
from recipe.figures import examples as figures
from recipe.files import read_table, write_csv
from recipe.parts import plain
from recipe.stage import Report, stage


@stage("split", checks_of(claims))
def main(cfg, run):
    store = Store.open(plain(cfg, "data"))
    examples = read_table("runs/audit/examples.parquet")
    decided = decisions.read_decisions(cfg.decisions, {e["id"] for e in examples}, store.classes)
    plan = Plan(cfg.val, cfg.test, cfg.seed, cfg.given, cfg.by, cfg.column, cfg.rare)
    made = divide(decisions.decide(examples, decided, store.classes), store.classes, plan)
    split.write_split(made.parts, made.classes, run.out)
    write_csv(run.out / "copies.csv", division_report.proposals(made), decisions.COLUMNS)
    rows = coincidence.repeats(store.inputs) if store.kind == FEATURES and made.given else None
    written = claims.Written(split.read_split(run.out), made, store.dates(), rows)
    verdicts = run_checks(
        checks_of(claims), written, limits=cfg.checks, waive=cfg.waive,
        where="conf/split.yaml",
    )  # fmt: skip
    counts = {name: written.counts(name).tolist() for name in made.parts}
    figures.class_counts(run.out / "classes.png", made.classes, counts, "examples per class and split")
    summary, how = division_report.summary(made, decided), division_report.sentences(made)
    for text in (summary, *how):
        run.say(text)
    shown = {"classes.png": "Examples per class in train, val and test, after decisions.csv."}
    evidence = {name: ["classes.png"] for name in ("class_shares_agree", "every_class_is_in_every_split")}
    evidence["no_copies_across_splits"] = ["copies.csv"]
    return Report(
        division_report.metrics(made, decided), verdicts, evidence=evidence, figures=shown, summary=summary,
        findings=[*how, *division_report.reasons(decided)],
    )  # fmt: skip


if __name__ == "__main__":
    main()
