"""Prepare: can every example of the source be read, and is it what it says it is?

Reads   the data set that conf/data/ names, wherever its files lie; resolved/source.json says which they are
Writes  runs/prepare/{inputs.npy,texts.parquet,previews.parquet,examples.parquet,problems.csv,store.json,report.json}
"""

from recipe.config.instantiate import data_name, part, plain
from recipe.decode.pool import Limits
from recipe.sources.source_files import require_unchanged
from recipe.stages.prepare import checks as claims
from recipe.stages.prepare.write_store import prepare
from recipe.stages.runner import Report, stage
from recipe.verdict import checks_of
from recipe.verdict import run as run_checks


@stage("prepare", checks_of(claims))
def main(cfg, run):
    limits, workers, data = Limits(**cfg.decoding), cfg.runtime.threads, plain(cfg, "data")
    if run.in_dvc:
        require_unchanged(data)
    found = prepare(part(cfg, "data"), data, run.out, run.say, limits=limits, workers=workers)
    if run.in_dvc:
        require_unchanged(data)
    run.tracker.data(data_name(cfg), found.fingerprint, "all")
    for text in found.findings():
        run.say(text)
    reading = claims.Reading(found.counts, found.converted, found.unrepeatable, found.values, found.level)
    verdicts = run_checks(
        checks_of(claims), reading, limits=cfg.checks, waive=cfg.waive,
        where="conf/prepare.yaml",
    )  # fmt: skip
    for text in (more := claims.sentences(reading, verdicts)):
        run.say(text)
    return Report(
        metrics=found.metrics(),
        checks=verdicts,
        evidence={name: ["problems.csv"] for name in checks_of(claims)},
        summary=found.summary(),
        findings=[*more, *found.findings()],
    )


if __name__ == "__main__":
    main()
