"""Split: which examples train, which choose, which judge; written once, as decisions.csv leaves them.

Reads   runs/audit/examples.parquet, runs/prepare/store.json, decisions.csv
Writes  runs/split/{train,val,test,classes,folds}.csv, copies.csv (lines for decisions.csv), classes.png, report.json
"""

from recipe.config.instantiate import plain
from recipe.data.decisions import decide, read_decisions
from recipe.data.splits import write_folds, write_split
from recipe.data.store import Store
from recipe.files import read_table
from recipe.stages.runner import Report, stage
from recipe.stages.split import captions, checks, validation
from recipe.stages.split.divide import Plan, divide
from recipe.stages.split.figures import draw
from recipe.verdict import checks_of


@stage("split", checks_of(checks, validation))
def main(cfg, run):
    store = Store.open(plain(cfg, "data"))
    examples = read_table("runs/audit/examples.parquet")
    decisions = read_decisions(cfg.decisions, {e["id"] for e in examples}, store.task.labels)
    plan = Plan(cfg.val, cfg.test, cfg.seed, cfg.given, cfg.by, cfg.column, cfg.rare, cfg.folds)
    division = divide(decide(examples, decisions, store.task.labels), store.task, plan)
    write_split(division.parts, division.task.names, run.out)
    write_folds(division.folds, run.out)
    captions.write_proposals(division, run.out / "copies.csv")
    written = checks.written(run.out, division, store)
    summary, sentences = captions.summary(division, decisions), captions.sentences(division)
    run.say(summary, *sentences)
    return Report(
        captions.metrics(division, decisions), run.judge(checks, written) + run.judge(validation, written),
        evidence=captions.EVIDENCE, figures=draw(written, run.out), summary=summary,
        findings=[*sentences, *captions.reasons(decisions)],
    )  # fmt: skip


if __name__ == "__main__":
    main()
