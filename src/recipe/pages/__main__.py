"""`python -m recipe.pages`: the report of what runs/ holds, as a closed gate leaves it."""

from pathlib import Path

from recipe.pages.render import render_report

render_report(Path("runs"))
