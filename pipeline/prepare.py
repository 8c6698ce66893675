"""Prepare: can every example of the source be read, and is it what it claims to be?

Reads   the data set that conf/data/ names, wherever its files are; resolved/source.json lists them
Writes  runs/prepare/{inputs.npy,texts.parquet,previews.parquet,examples.parquet,problems.csv,store.json,report.json}
"""

from recipe.config.instantiate import data_name, part, plain
from recipe.decode.pool import DecodingLimits
from recipe.sources.source_files import require_unchanged
from recipe.stages.prepare import captions, checks
from recipe.stages.prepare.write_store import prepare
from recipe.stages.runner import Report, stage
from recipe.verdict import checks_of


@stage("prepare", checks_of(checks))
def main(cfg, run):
    data, limits, threads = plain(cfg, "data"), DecodingLimits(**cfg.decoding), cfg.runtime.threads
    with require_unchanged(data, checked=run.in_dvc):
        prepared = prepare(part(cfg, "data"), data, run.out, run.say, limits=limits, workers=threads)
    run.tracker.data(data_name(cfg), prepared.fingerprint, "all")
    verdicts = run.judge(checks, checks.reading(prepared))
    findings = captions.findings(prepared)
    for text in findings:
        run.say(text)
    return Report(
        prepared.metrics(), verdicts, evidence=checks.evidence(), summary=captions.summary(prepared), findings=findings
    )


if __name__ == "__main__":
    main()
