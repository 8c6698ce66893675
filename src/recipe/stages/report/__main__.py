"""`python -m recipe.stages.report`: the report of what runs/ holds, as a closed gate leaves it."""

from pathlib import Path

from recipe.stages.report.render import render_report

render_report(Path("runs"))
