"""Report: does every claim of the recipe hold, and what came out of it?

Reads   runs/<stage>/report.json of every stage, and the pictures they name
Writes  runs/report.html, runs/report.md, report.json, scores.csv (a row per system, for `dvc plots`)
"""

from pathlib import Path

from recipe.files import write_csv
from recipe.stages.dependencies import in_dvc
from recipe.stages.report import checks
from recipe.stages.report.evidence import read_evidence
from recipe.stages.report.render import render_report
from recipe.stages.report.reproduced import difference
from recipe.stages.report.scores import score_columns, score_table
from recipe.stages.runner import Report, stage
from recipe.verdict import checks_of


@stage("report", checks_of(checks))
def main(cfg, run):
    runs = Path("runs")
    verdicts = run.judge(checks, checks.Reported(runs, read_evidence(runs)))
    evidence = read_evidence(runs, Report({}, verdicts).committed("report"))
    report = Report(evidence.metrics, verdicts, summary=f"{evidence.headline}.")
    write_csv(run.out / "scores.csv", score_table(evidence), score_columns(evidence))
    to = runs if in_dvc("report") else run.out
    render_report(runs, to, report.committed("report"))
    report.pages = [to / "report.html", to / "report.md"]
    report.ending = (
        f"{evidence.result or evidence.headline}\n  report  {to / 'report.html'}\n  runs    {run.tracker.where}"
    )
    if in_dvc("report") and (why := difference(Path.cwd())):
        report.ending += f"\n  note    {why}"
    return report


if __name__ == "__main__":
    main()
