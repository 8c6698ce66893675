"""Audit: become one with the data. What is in it, how often, and what is wrong with it?

Reads   runs/prepare/ (the store), decisions.csv (which of the findings a person has decided)
Writes  runs/audit/examples.parquet, pairs.parquet, probes.json, explorer.html, *.png, report.json
"""

from recipe.audit import answers, findings
from recipe.audit.explore import explore
from recipe.audit.measure import audit
from recipe.audit.pictures import draw
from recipe.audit.relations import Limits
from recipe.checks import audit as claims
from recipe.checks.verdict import checks_of
from recipe.checks.verdict import run as run_checks
from recipe.data.store import Store
from recipe.files import write_table, write_text
from recipe.parts import data_name, plain
from recipe.stage import Report, stage


@stage("audit", checks_of(claims))
def main(cfg, run):
    store = Store.open(plain(cfg, "data"))
    limits, name = Limits(**cfg.flags), data_name(cfg)
    found = audit(store, limits, cfg.seed, run.say)
    write_table(run.out / "examples.parquet", found.columns, found.meanings)
    answers.write_pairs(found.pairs, found.columns["id"], run.out / "pairs.parquet")
    answers.write_probes(found, run.out / "probes.json")
    write_text(run.out / "explorer.html", explore(found, store, name, cfg.seed))
    figures = draw(found, store, limits, run.out, cfg.seed)
    run.tracker.data(name, store.fingerprint, "all")
    verdicts = run_checks(
        checks_of(claims), findings.audited(found, store, cfg.decisions),
        limits=cfg.checks, waive=cfg.waive, where="conf/audit.yaml",
    )  # fmt: skip
    metrics = findings.metrics(found, store.classes)
    more = findings.sentences(found, store.classes, store.columns)
    return Report(
        metrics, verdicts, evidence=findings.EVIDENCE, figures=figures, summary=findings.summary(metrics), findings=more
    )


if __name__ == "__main__":
    main()
