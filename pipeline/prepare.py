"""Prepare: can every example of the source be read, and is it what it says it is?

Reads   the data set that conf/data/ names, wherever its files lie; resolved/source.json says which they are
Writes  runs/prepare/{inputs.npy,texts.parquet,previews.parquet,examples.parquet,problems.csv,store.json,report.json}
"""

from recipe.config.instantiate import data_name, part, plain
from recipe.decode.pool import DecodingLimits
from recipe.sources.source_files import require_unchanged
from recipe.stages.prepare import checks
from recipe.stages.prepare.write_store import prepare
from recipe.stages.runner import Report, stage
from recipe.verdict import checks_of


@stage("prepare", checks_of(checks))
def main(cfg, run):
    data = plain(cfg, "data")
    with require_unchanged(data, checked=run.in_dvc):
        store = prepare(
            part(cfg, "data"),
            data,
            run.out,
            run.say,
            limits=DecodingLimits(**cfg.decoding),
            workers=cfg.runtime.threads,
        )
    run.tracker.data(data_name(cfg), store.fingerprint, "all")
    reading = checks.reading(store)
    verdicts = run.judge(checks, reading)
    findings = [*checks.sentences(reading, verdicts), *store.findings()]
    for text in findings:
        run.say(text)
    return Report(store.metrics(), verdicts, evidence=checks.evidence(), summary=store.summary(), findings=findings)


if __name__ == "__main__":
    main()
