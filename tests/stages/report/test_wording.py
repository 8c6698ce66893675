"""The report in plain English: no private word, and no effect without direction, level or unit."""

import importlib
import pkgutil
from pathlib import Path

import pytest
from reports import fake, plain, rendered, words
from wording import refused

import recipe.checks
import recipe.stages
from recipe.stages.report.render import render_report
from recipe.verdict import checks_of

ROOT = Path(__file__).resolve().parents[3]

PLANTED = [
    "val_loss lower by +0.0263 over 6 seeds",
    "lowers validation loss by -0.03",
    "the loss fell by about −0.2 nats",
    "validation is worse, -0.5 points",
    "lower by 0.026 [+0.0159, +0.0366]",
    "a gain of 0.012 [0.004, 0.021]",
    "-0.5 points (-1.4 to 0.4, n = 1,200)",
    "98.61 % accuracy, between 96.79 % and 99.43 %",
    "its whole interval [+0.0043, +0.0212]",
    "who may not be told apart from whom",
    "as asked for",
    "one layer stands in several places",
    "What has no class is no example.",
    "an image that is no picture",
    "a seed of its own",
    "The loss by itself: what it wants.",
    "Its best level speaks for it.",
    "No split alone can show it.",
    "a person's own model",
]
CLEAN = [
    "The best of 72 trials lowers validation loss by 0.026 (95 % CI 0.016 to 0.037, 6 new seeds).",
    "Downsampling from 8 to 6 pixels changes linear-probe accuracy by -0.5 points (95 % CI -1.4 to 0.4, n = 1,200).",
    "98.61 % accuracy (95 % CI 96.79 % to 99.43 %)",
    "95 % interval of the mean: 0.9679 to 0.9943",
    "The values fill 1.000 (0 to 255) of the range.",
    "a width from 4 to 32, steps between evaluations, levels [4, 8, 16, 32]",
    "there is no schedule, or it follows a metric",
    "There is no longer a duplicate; more than 3 are found in train.",
    "val_loss falls, train_loss rises",
]


@pytest.mark.parametrize("text", PLANTED)
def test_what_is_refused_is_noticed(text):
    assert refused(text)


@pytest.mark.parametrize("text", CLEAN)
def test_plain_sentences_pass(text):
    assert refused(text) == []


def all_checks():
    for package in (recipe.checks, recipe.stages):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                yield from checks_of(importlib.import_module(module.name)).values()


def test_every_claim_and_hint_is_plain():
    wrong = {
        check.fixed["check"]: places
        for check in all_checks()
        if (places := refused(f"{check.fixed['claim']} {check.fixed['hint']}"))
    }
    assert wrong == {}


def test_the_words_of_the_page_itself_are_plain(tmp_path):
    for name in ("open", "closed"):
        page, twin = rendered(fake(tmp_path / name / "runs", **({"tune": None} if name == "closed" else {})))
        assert refused(words(page)) == []
        assert refused(plain(twin)) == []


def test_a_planted_sentence_is_noticed_on_the_page(tmp_path):
    page, twin = rendered(fake(tmp_path / "runs", tune={"summary": PLANTED[0]}))
    assert refused(words(page)) == ["a signed number after a word of direction: lower by +0"]
    assert refused(plain(twin))


def test_the_committed_evidence_is_plain(tmp_path):
    render_report(ROOT / "runs", tmp_path)
    assert refused(words((tmp_path / "report.html").read_text())) == []
    assert refused(plain((tmp_path / "report.md").read_text())) == []


@pytest.mark.slow
def test_the_report_of_a_run_is_plain(whole):
    assert refused(words(whole.read("runs/report.html").decode())) == []
    assert refused(plain(whole.read("runs/report.md").decode())) == []
