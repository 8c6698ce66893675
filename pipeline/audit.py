"""Audit: become one with the data. What is in it, how often, and what is wrong with it?

Reads   runs/prepare/ (the store), decisions.csv (which of the findings a person has decided)
Writes  runs/audit/examples.parquet, pairs.parquet, probes.json, explorer.html, *.png, report.json
"""

from recipe.config.instantiate import data_name, plain
from recipe.data.store import Store
from recipe.stages.audit import captions, checks, figures, outputs
from recipe.stages.audit.audit import audit
from recipe.stages.audit.flags import Limits
from recipe.stages.runner import Report, stage
from recipe.verdict import checks_of


@stage("audit", checks_of(checks))
def main(cfg, run):
    store = Store.open(plain(cfg, "data"))
    limits, name = Limits(**cfg.flags), data_name(cfg)
    run.tracker.data(name, store.fingerprint, "all")
    audited = audit(store, limits, cfg.seed, run.say)
    outputs.write(audited, store, name, cfg.seed, run.out)
    drawn = figures.draw(audited, store, limits, run.out, cfg.seed)
    verdicts = run.judge(checks, captions.audited(audited, store, cfg.decisions))
    metrics = captions.metrics(audited, store.classes)
    return Report(
        metrics, verdicts, evidence=captions.EVIDENCE, figures=drawn, summary=captions.summary(metrics),
        findings=captions.sentences(audited, store.classes, store.columns),
    )  # fmt: skip


if __name__ == "__main__":
    main()
