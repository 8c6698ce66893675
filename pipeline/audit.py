"""Audit: become one with the data. What is in it, how often, and what is wrong with it?

Reads   runs/prepare/ (the store), decisions.csv (which of the findings a person has decided)
Writes  runs/audit/examples.parquet, pairs.parquet, probes.json, explorer.html, *.png, report.json
"""

from recipe.config.instantiate import data_name, plain
from recipe.data.store import Store
from recipe.files import write_table, write_text
from recipe.stages.audit import captions as audit_captions
from recipe.stages.audit import checks as claims
from recipe.stages.audit import outputs as audit_outputs
from recipe.stages.audit.audit import audit
from recipe.stages.audit.explorer import explore
from recipe.stages.audit.figures import draw
from recipe.stages.audit.flags import Limits
from recipe.stages.runner import Report, stage
from recipe.verdict import checks_of
from recipe.verdict import run as run_checks


@stage("audit", checks_of(claims))
def main(cfg, run):
    store = Store.open(plain(cfg, "data"))
    limits, name = Limits(**cfg.flags), data_name(cfg)
    found = audit(store, limits, cfg.seed, run.say)
    write_table(run.out / "examples.parquet", found.columns, found.meanings)
    audit_outputs.write_pairs(found.pairs, found.columns["id"], run.out / "pairs.parquet")
    audit_outputs.write_probes(found, run.out / "probes.json")
    write_text(run.out / "explorer.html", explore(found, store, name, cfg.seed))
    figures = draw(found, store, limits, run.out, cfg.seed)
    run.tracker.data(name, store.fingerprint, "all")
    verdicts = run_checks(
        checks_of(claims), audit_captions.audited(found, store, cfg.decisions),
        limits=cfg.checks, waive=cfg.waive, where="conf/audit.yaml",
    )  # fmt: skip
    metrics = audit_captions.metrics(found, store.classes)
    more = audit_captions.sentences(found, store.classes, store.columns)
    return Report(
        metrics,
        verdicts,
        evidence=audit_captions.EVIDENCE,
        figures=figures,
        summary=audit_captions.summary(metrics),
        findings=more,
    )


if __name__ == "__main__":
    main()
