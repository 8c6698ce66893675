"""The axes of the report's inline drawings."""

from hypothesis import given
from hypothesis import strategies as st

from recipe import formatting
from recipe.stages.report import axis_scale

ACCURACIES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(ACCURACIES)
def test_a_better_accuracy_never_stands_further_left_and_all_stand_on_the_axis(accuracies):
    axis = axis_scale.accuracy_scale(accuracies)
    places = [float(axis.place(a)[:-1]) for a in sorted(accuracies)]
    assert places == sorted(places)
    assert places[0] >= axis_scale.LEFT
    assert places[-1] <= axis_scale.RIGHT


@given(ACCURACIES)
def test_only_no_error_at_all_stands_on_the_tick_of_100_per_cent(accuracies):
    axis = axis_scale.accuracy_scale([*accuracies, 1.0])
    last = axis.ticks[-1]
    assert last.label == "100 %"
    assert axis.place(1.0) == last.at
    assert all(axis.place(a) != last.at for a in accuracies if a <= 0.9999)


def test_no_difference_has_no_sign():
    assert formatting.points(-1e-9) == "0.00"
    assert formatting.difference(1.0, 1.0) == formatting.difference(1.00001, 1.0) == "0"
