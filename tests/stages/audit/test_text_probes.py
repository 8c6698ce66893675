"""The probes of texts give the answer that was planted, and none where nothing was."""

import numpy as np
import pytest

from recipe.stages.audit.probes.results import OF_TEXTS
from recipe.stages.audit.probes.text_questions import run_text_probes

BETWEEN = [f"{a}{b}" for a in ("mo", "ta", "ri", "lu", "ke") for b in ("ve", "na", "lm", "rt", "sti", "do")]
N = 400


def probed_texts(texts, y):
    return {r.probe: r for r in run_text_probes(texts, y, np.arange(len(texts)), 0)}


def between(draw, n):
    return list(draw.choice(BETWEEN, n))


def said_first(draw, c):
    return " ".join([("dull", "fine")[c], *between(draw, 12)])


def said_last(draw, c):
    return " ".join([*between(draw, 12), ("dull", "fine")[c]])


def said_by_the_order(draw, c):
    return " ".join([*between(draw, 3), *(("not", "good"), ("good", "not"))[c], *between(draw, 3)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "verdicts"),
    [
        (said_first, {"words": "yes", "order": "no", "length": "yes"}),
        (said_last, {"words": "yes", "order": "no", "length": "no"}),
        (said_by_the_order, {"words": "undecided", "order": "yes", "length": "undecided"}),  # 49 % (42 to 56)
    ],
)
def test_what_was_planted_in_texts_is_the_verdict(write, verdicts):
    draw, y = np.random.default_rng(0), np.arange(N) % 2
    results = probed_texts([write(draw, c) for c in y], y)
    assert {probe: r.verdict for probe, r in results.items()} == verdicts, [r.sentence for r in results.values()]
    if write is said_first:
        assert "Cutting texts at 1 words" in results["length"].sentence
        assert "length: 1}" in results["length"].suggests


@pytest.mark.slow
def test_texts_that_say_nothing_have_no_verdict_of_yes():
    draw = np.random.default_rng(0)
    results = probed_texts([" ".join(between(draw, 8)) for _ in range(N)], draw.integers(0, 2, N))
    assert "yes" not in {r.verdict for r in results.values()}


def test_empty_and_few_texts_are_undecided():
    y = np.arange(N) % 2
    assert {r.verdict for r in run_text_probes(["", "ok"] * 5, y[:10], y[:10], 0)} == {"undecided"}
    assert [r.probe for r in run_text_probes(["a"] * 10, y[:10], np.arange(10), 0)] == list(OF_TEXTS)
    assert probed_texts([""] * N, y)["words"].verdict != "yes"
