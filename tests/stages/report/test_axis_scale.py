"""The axes of the report's inline drawings."""

from hypothesis import example, given
from hypothesis import strategies as st

from recipe import formatting
from recipe.stages.report import axis_scale
from recipe.stages.report.shown_metric import ShownMetric

ACCURACIES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(ACCURACIES)
def test_a_better_accuracy_never_stands_further_left_and_all_stand_on_the_axis(accuracies):
    axis = axis_scale.share_scale(accuracies)
    places = [float(axis.place(a)[:-1]) for a in sorted(accuracies)]
    assert places == sorted(places)
    assert places[0] >= axis_scale.LEFT
    assert places[-1] <= axis_scale.RIGHT


@given(ACCURACIES)
def test_only_no_error_at_all_stands_on_the_tick_of_100_per_cent(accuracies):
    axis = axis_scale.share_scale([*accuracies, 1.0])
    last = axis.ticks[-1]
    assert last.label == "100 %"
    assert axis.place(1.0) == last.at
    assert all(axis.place(a) != last.at for a in accuracies if a <= 0.9999)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_a_better_score_of_another_metric_never_stands_further_left(scores):
    axis = axis_scale.scale_of(ShownMetric("r2", "R2"), scores)
    places = [float(axis.place(v)[:-1]) for v in sorted(scores)]
    assert places == sorted(places)
    assert axis_scale.LEFT <= places[0] <= places[-1] <= axis_scale.RIGHT
    assert 1 <= len(axis.ticks) <= 10


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8))
@example([5e-324])  # the least number above zero, which no factor of about one changes
@example([0.0])
def test_a_lower_loss_never_stands_further_right(losses):
    axis = axis_scale.loss_scale(losses)
    places = [float(axis.place(v)[:-1]) for v in sorted(losses)]
    assert places == sorted(places)
    assert axis_scale.LEFT <= places[0] <= places[-1] <= axis_scale.RIGHT


def test_a_metric_that_is_an_error_has_the_axis_of_a_loss():
    errors = [2.0, 3.3]
    assert axis_scale.scale_of(ShownMetric("rmse", "RMSE", higher_is_better=False), errors).note == (
        axis_scale.loss_scale(errors).note
    )


def test_no_difference_has_no_sign():
    assert formatting.points(-1e-9) == "0.00"
    assert formatting.difference(1.0, 1.0) == formatting.difference(1.00001, 1.0) == "0"
