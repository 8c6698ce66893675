"""Split: which examples train, which choose, which judge; written once, as decisions.csv leaves them.

Reads   runs/audit/examples.parquet, runs/prepare/store.json, decisions.csv
Writes  runs/split/{train,val,test}.csv, classes.png, report.json
"""

from recipe.checks import split as claims
from recipe.checks.verdict import checks_of
from recipe.checks.verdict import run as run_checks
from recipe.data import split
from recipe.data.decisions import decide, read_decisions
from recipe.data.store import Store
from recipe.figures import examples as figures
from recipe.files import read_table
from recipe.parts import plain
from recipe.stage import Report, stage


@stage("split", checks_of(claims))
def main(cfg, run):
    store = Store.open(plain(cfg, "data"))
    examples = read_table("runs/audit/examples.parquet")
    decisions = read_decisions(cfg.decisions, {e["id"] for e in examples}, store.classes)
    kept = decide(examples, decisions, store.classes)
    split.write_split(split.split(kept, cfg.val, cfg.test, cfg.seed), run.out)
    written = claims.Written(split.read_split(run.out), kept, store.classes, split.shares(cfg.val, cfg.test))
    verdicts = run_checks(
        checks_of(claims), written, limits=cfg.checks, waive=cfg.waive,
        where="conf/split.yaml",
    )  # fmt: skip
    counts = {name: written.counts(name).tolist() for name in split.NAMES}
    figures.class_counts(run.out / "classes.png", store.classes, counts, "examples per class and split")
    metrics, summary, reasons = split.findings(written.parts, kept, decisions)
    shown = {"classes.png": "Examples per class in train, val and test, after decisions.csv."}
    evidence = {"class_shares_agree": ["classes.png"]}
    return Report(metrics, verdicts, evidence=evidence, figures=shown, summary=summary, findings=reasons)


if __name__ == "__main__":
    main()
