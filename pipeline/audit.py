"""Audit: become one with the data. What is in it, how often, and what is wrong with it?

Reads   runs/prepare/ (the store), decisions.csv (which of the findings a person has decided)
Writes  runs/audit/examples.parquet, *.png, report.json
"""

from recipe.audit import findings
from recipe.audit.pictures import draw
from recipe.audit.table import Limits, audit, write_table
from recipe.checks import audit as claims
from recipe.checks.verdict import checks_of
from recipe.checks.verdict import run as run_checks
from recipe.data.store import Store
from recipe.parts import plain
from recipe.stage import Report, stage


@stage("audit", checks_of(claims))
def main(cfg, run):
    store = Store.open(plain(cfg, "data"))
    limits = Limits(**cfg.flags)
    found = audit(store, limits, cfg.seed)
    run.say(f"{len(store.inputs):,} examples measured")
    write_table(found.columns, run.out / "examples.parquet")
    figures = draw(found, store, limits, run.out, cfg.seed)
    run.tracker.data(cfg.data._target_.rsplit(".", 1)[-1], store.fingerprint, "all")
    verdicts = run_checks(
        checks_of(claims), claims.Audited(*findings.audited(found, store, cfg.decisions)),
        limits=cfg.checks, waive=cfg.waive, where="conf/audit.yaml",
    )  # fmt: skip
    metrics = findings.metrics(found, store.classes)
    return Report(metrics, verdicts, evidence=findings.EVIDENCE, figures=figures, summary=findings.summary(metrics))


if __name__ == "__main__":
    main()
