"""What the tune stage makes of a finished search: the next recipe, tables, figures and sentences."""

import re
from dataclasses import replace
from functools import partial

import pytest
from searching import SilentRun, linear, opened

from recipe.experiment.arms import Gain
from recipe.files import read_csv, read_yaml
from recipe.stages.tune import captions, checks, figures, results, worker
from recipe.stages.tune.trials import log_trials
from recipe.verdict import checks_of, run


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """(the run, the results of a small search): what pipeline/tune.py does."""
    silent = SilentRun(tmp_path_factory.mktemp("tune"))
    search = opened(linear(trials=3, samplers=["random", "qmc"], seeds=2), silent.out)
    with worker.kept_until_done(search):
        worker.take_part(search, partial(log_trials, search.setup, silent))
        evaluated = results.evaluate(search, silent)
    results.write_tables(silent.out, evaluated)
    figures.draw(silent.out, evaluated)
    return silent, evaluated


def test_all_files_of_the_stage_are_written(searched):
    silent, evaluated = searched
    for name in ("best.yaml", "finished.yaml", "trials.csv", *captions.figures(evaluated)):
        assert (silent.out / name).stat().st_size > 0
    assert len(read_csv(silent.out / "trials.csv")) == 2 * 2 * 3 == evaluated.metrics()["trials"]
    assert read_yaml(silent.out / "best.yaml") == evaluated.tuned.changes
    complete = evaluated.count("complete")
    assert 0 < len(read_yaml(silent.out / "finished.yaml")) <= complete


def test_every_trial_and_every_seed_of_the_comparison_is_logged(searched):
    silent, evaluated = searched
    assert len(silent.lanes) == 2 * 2 * 3 + 2 * 2
    assert {t.name for t in evaluated.all_trials} <= set(silent.lanes)


def test_a_small_search_closes_no_gate(searched):
    verdicts = run(checks_of(checks), searched[1], where="a test")
    assert {v.verdict for v in verdicts if v.gate} == {"pass"}


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (Gain(0.0263, 0.0159, 0.0366, 6),
         "lowers validation loss by 0.026 (95 % CI 0.016 to 0.037, 6 new seeds); it becomes the recipe."),
        (Gain(0.01, -0.01, 0.03, 6),
         "lowers validation loss by 0.010 (95 % CI -0.010 to 0.030, 6 new seeds): no significant gain, so the accepted "
         "recipe is kept."),
        (Gain(-0.02, -0.03, -0.01, 6),
         "raises validation loss by 0.020 (95 % CI 0.010 to 0.030, 6 new seeds); the accepted recipe is kept."),
    ],
)  # fmt: skip
def test_the_summary_names_effect_interval_and_outcome(searched, gain, words):
    evaluated = searched[1]
    tuned = replace(evaluated.tuned, gain=gain, best=replace(evaluated.tuned.best, sampler="random"))
    summary = captions.summary(replace(evaluated, tuned=tuned))
    assert summary == f"The best of 12 trials (random search) {words}"


def test_findings_are_sentences(searched):
    for sentence in captions.findings(searched[1]):
        assert re.fullmatch(
            r"qmc instead of random (lowers|raises) the best validation loss by .* repeats\): .*\.", sentence
        )
