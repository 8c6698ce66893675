"""report.json: the same text on another processor, whose last bits differ."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.metrics.classification import ACCURACY
from recipe.stages.stage_report import COLUMNS, RESIDUE, Report, rounded
from recipe.verdict import Verdict

NOISE = 1e-7  # relative; torch's plain and AVX512 kernels differ by up to 3e-7 after sixty steps of training


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300))
def test_a_fraction_keeps_four_significant_digits(value):
    short = rounded(value)
    assert short == rounded(short)
    if abs(value) >= RESIDUE:
        assert math.isclose(short, value, rel_tol=5.1e-4)
    else:
        assert math.copysign(1, short) == 1
        assert short == 0


def test_a_number_on_the_edge_of_two_roundings_goes_one_way():
    """As ratios of counts do: 159/160 = 0.99375."""
    for edge in (m * 1e-4 + 0.5e-4 for m in range(1000, 10_000)):
        assert len({rounded(edge * (1 + noise)) for noise in (-NOISE, 0, NOISE)}) == 1, edge


def test_noise_in_the_last_bits_changes_few_numbers_of_any():
    """What remains: a number that lies within the noise of an edge, 2 in 10,000 or fewer."""
    numbers = [math.exp(-9 * math.modf(i * 0.6180339887498949)[0]) for i in range(1, 20_001)]
    assert sum(rounded(x) != rounded(x * (1 + NOISE)) for x in numbers) <= 2e-4 * 4 * len(numbers)


def test_the_residue_of_a_zero_is_zero():
    assert rounded([8.48e-08, -8.9e-12, 0.999999999999998]) == [0.0, 0.0, 1.0]


def test_counts_texts_and_switches_stay_as_they_are():
    content = {"n": 123_456_789, "text": "0.123456789", "on": True, "none": None, "inside": [{"deep": 0.123456789}]}
    assert rounded(content) == content | {"inside": [{"deep": 0.1235}]}


REPORT = Report(
    metrics={"val_loss": 0.0346159221, "val_accuracy": 0.9903314, "trials": 72},
    checks=[Verdict("pass", value=0.0262609583, bound="> 0", check="a", gate=False)],
    scores=[{"system": "tuned", "seeds": 6, "val_loss": 0.0346159221}],
    metric=ACCURACY,
)


def test_dvc_makes_columns_of_the_stages_scores_and_of_nothing_else():
    """DVC takes numbers and texts in mappings; what lists hold it leaves alone."""
    content = REPORT.committed("tune")
    assert content["tune"] == {"val_loss": 0.03462, "val_accuracy": 0.9903}
    assert {key for key, value in content.items() if not isinstance(value, list)} == {"tune"}
    assert content["metrics"] == [{"val_loss": 0.03462, "val_accuracy": 0.9903, "trials": 72}]
    assert sum(map(len, COLUMNS.values())) <= 20


def test_the_exact_numbers_are_kept():
    content = REPORT.exact("tune")
    assert content["metrics"] == REPORT.metrics
    assert content["scores"] == REPORT.scores
    assert content["checks"][0]["value"] == 0.0262609583
    assert json.loads(json.dumps(content)) == json.loads(json.dumps(content))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_left_for_the_writer_to_refuse(value):
    assert repr(rounded(value)) == repr(value)
