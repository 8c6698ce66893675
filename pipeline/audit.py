"""Audit: become one with the data. What is in it, how often, and what is wrong with it?

Reads   runs/prepare/ (the store), runs/embed/features/ (where the model has a pretrained network), decisions.csv (what
        the user has decided about single examples)
Writes  runs/audit/examples.parquet, pairs.parquet, probes.json, explorer.html, *.png, report.json
"""

from recipe.config.instantiate import data_name, plain
from recipe.data.store import Store
from recipe.data.stored_features import StoredFeatures
from recipe.stages.audit import captions, checks, figures, outputs
from recipe.stages.audit.audit import audit
from recipe.stages.audit.flags import FlagLimits
from recipe.stages.runner import Report, stage
from recipe.verdict import checks_of


@stage("audit", checks_of(*checks.CLAIMS))
def main(cfg, run):
    store = Store.open(plain(cfg, "data"))
    limits, name = FlagLimits(**cfg.flags), data_name(cfg)
    run.tracker.data(name, store.fingerprint, "all")
    result = audit(store, limits, cfg.seed, run.say, StoredFeatures.of_store(store.fingerprint))
    outputs.write(result, store, name, cfg.seed, run.out)
    drawn = figures.draw(result, store, limits, run.out, cfg.seed)
    subject = checks.audited(result, store, cfg.decisions)
    verdicts = [verdict for claims in checks.CLAIMS for verdict in run.judge(claims, subject)]
    metrics = captions.metrics(result, store.task)
    return Report(
        metrics, verdicts, evidence=captions.evidence(drawn), figures=drawn,
        summary=captions.summary(metrics, store.task), findings=captions.sentences(result, store.task),
    )  # fmt: skip


if __name__ == "__main__":
    main()
