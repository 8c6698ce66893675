"""Metadata that predict the label: planted shortcuts are named, healthy twins are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.errors import RecipeError
from recipe.stages.audit.bias import bias, name_columns, sentence

N = 1200


def healthy(count=N, classes=4, seed=0):
    """(labels, columns that know nothing of them)"""
    rng = np.random.default_rng(seed)
    labels = np.array(list("abcd"))[rng.integers(0, classes, count)]
    columns = {
        "brightness": rng.normal(size=count),
        "file size": rng.integers(800, 4000, count),
        "orientation": rng.choice([1, 3, 6, 8], count),
        "folder": rng.choice(["site 1", "site 2", "site 3"], count),
        "order": np.arange(count),
    }
    return labels, columns


def brighter(labels, columns):
    columns["brightness"] = columns["brightness"] + 1.5 * (labels == "a")


def foldered(labels, columns):
    rng = np.random.default_rng(1)
    stays = rng.random(len(labels)) < 0.8
    columns["folder"] = np.where(stays, np.char.add("site ", labels), columns["folder"])


def turned(labels, columns):
    columns["orientation"] = np.where(labels == "b", 6, 1)


def sorted_by_class(labels, columns):
    columns["order"] = np.argsort(np.argsort(labels, kind="stable"))


PLANTS = {"brightness": brighter, "folder": foldered, "orientation": turned, "order": sorted_by_class}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_shortcut_is_named_and_no_other(name):
    labels, columns = healthy()
    PLANTS[name](labels, columns)
    result = bias(columns, "label", labels, None, 0)
    assert [g.column for g in result.columns if g.verdict == "yes"] == [name]
    assert result.columns[0].column == result.main_column == name
    assert result.together.verdict == "yes"
    best = result.columns[0]
    assert best.low <= best.gain <= best.high
    assert best.low > result.chance
    assert best.gain == pytest.approx(best.accuracy - best.always)
    assert best.always == pytest.approx(max(np.unique(labels, return_counts=True)[1]) / N)


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_set_has_no_shortcut(seed):
    labels, columns = healthy(seed=seed)
    result = bias(columns, "label", labels, None, seed)
    assert {g.verdict for g in result.columns} <= {"no", "undecided"}
    assert sum(g.verdict == "no" for g in result.columns) >= 4
    assert result.together.verdict != "yes"
    assert result.main_column == ""


@pytest.mark.slow
def test_few_examples_are_not_enough_to_deny():
    labels, columns = healthy(count=40)
    result = bias(columns, "label", labels, None, 0)
    assert {g.verdict for g in result.columns} == {"undecided"}
    columns["folder"] = labels
    result = bias(columns, "label", labels, None, 0)
    assert result.columns[0].verdict == "yes"  # enough for a large effect


def test_sentences_say_how_much_and_over_what():
    labels, columns = healthy()
    brighter(labels, columns)
    sorted_by_class(labels, columns)
    result = bias(columns, "label", labels, None, 0)
    text = {g.column: sentence(g, result) for g in (*result.columns, result.together)}
    gain = next(g for g in result.columns if g.column == "brightness")
    interval = f"95 % CI {100 * gain.low:.0f} to {100 * gain.high:.0f}, n = 1,200"
    assert text["brightness"] == (
        f"`brightness` alone predicts the label: {100 * gain.gain:+.0f} points of accuracy relative to always "
        f"answering `{result.majority}` ({interval})"
    )
    assert text["order"].endswith(
        "The order of the file depends on the label: shuffle it, and never split it into blocks"
    )
    assert "the position in the file alone predicts" in text["order"]
    denied = [g.column for g in result.columns if g.verdict == "no"]
    assert denied
    assert all(f"`{name}` alone does not predict the label" in text[name] for name in denied)
    assert text["all columns"].startswith("all columns together predict the label")


def test_a_shortcut_to_a_rare_class_is_seen():
    """Accuracy cannot rise much above 97 %, balanced accuracy can."""
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(4000) < 0.03, "sick", "well")
    columns = {"brightness": rng.normal(size=4000) + 1.5 * (labels == "sick"), "size": rng.normal(size=4000)}
    result = bias(columns, "label", labels, None, 0)
    verdicts = {g.column: g.verdict for g in result.columns}
    assert verdicts["brightness"] == "yes" != verdicts["size"]
    assert result.columns[0].gain < 0.02 < 0.15 < result.columns[0].balanced
    assert "of balanced accuracy relative to chance (95 % CI " in sentence(result.columns[0], result)


@pytest.mark.slow
def test_the_split_of_the_source_is_a_target_too():
    columns = healthy()[1]
    split = np.where(np.arange(N) % 5 == 0, "test", "train")
    assert "yes" not in {g.verdict for g in bias(columns, "split", split, None, 0).columns}
    columns["file size"] = columns["file size"] * np.where(split == "test", 3, 1)
    result = bias(columns, "split", split, None, 0)
    assert result.columns[0].column == "file size"
    assert "predicts the split" in sentence(result.columns[0], result)


@pytest.mark.slow
def test_copies_do_not_vouch_for_each_other():
    """An identifier says nothing; with each input there four times it does, unless its copies stay in one fold."""
    rng = np.random.default_rng(0)
    identifier = np.repeat(rng.permutation(100), 4)
    labels = np.repeat(rng.integers(0, 2, 100), 4)
    columns = {"identifier": np.array([f"patient {i}" for i in identifier])}
    assert bias(columns, "label", labels, None, 0).columns[0].verdict == "yes"
    groups = [str(i) for i in identifier]
    assert bias(columns, "label", labels, groups, 0).columns[0].verdict != "yes"


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(st.integers(0, 1000))
def test_the_scale_of_a_number_and_the_names_of_classes_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 200)
    values = rng.normal(size=200) + labels
    one = bias({"a": values}, "label", labels, None, seed)
    two = bias({"a": np.exp(3 * values)}, "label", [f"class {c}" for c in labels], None, seed)
    assert one.columns[0].gain == two.columns[0].gain
    assert (one.columns[0].low, one.columns[0].high) == (two.columns[0].low, two.columns[0].high)


@pytest.mark.slow
def test_the_same_again_is_the_same():
    labels, columns = healthy()
    assert bias(columns, "label", labels, None, 5) == bias(columns, "label", labels, None, 5)


def test_missing_values_are_a_value():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    values = np.where(labels == 1, np.nan, rng.normal(size=600))
    result = bias({"age": values, "empty": np.full(600, np.nan)}, "label", labels, None, 0)
    assert result.columns[0].column == "age"
    assert result.columns[0].accuracy == 1
    assert result.columns[1].gain <= 0


def test_places_in_a_table_or_an_array_are_no_file_names():
    assert name_columns(["x.npz, train, row 1", "x.npz, test, row 1"]) == {}
    assert name_columns(["t.csv, line 12"]) == {}
    assert name_columns(["a/row 3.png", "a/line 4.png"]).keys() >= {"extension", "last number in the name"}


def test_file_names_are_taken_apart():
    result = name_columns(["a/cat_001.jpg", "b\\IMG12-7.png", "plain"])
    assert result["folder"].tolist() == ["a", "b", "."]
    assert result["extension"].tolist() == [".jpg", ".png", ""]
    assert result["name pattern"].tolist() == ["cat_#", "IMG#-#", "plain"]
    assert result["first number in the name"].tolist()[:2] == [1, 12]
    assert result["last number in the name"].tolist()[:2] == [1, 7]
    assert np.isnan(result["last number in the name"][2])
    assert result["name length"].tolist() == [7, 7, 5]


def test_mistakes_are_named():
    with pytest.raises(RecipeError, match="no column"):
        bias({}, "label", [0, 1], None, 0)
    with pytest.raises(RecipeError, match="`size` has shape"):
        bias({"size": [1, 2, 3]}, "label", [0, 1], None, 0)
    with pytest.raises(RecipeError, match="nothing to predict"):
        bias({"size": [1, 2, 3]}, "split", ["train"] * 3, None, 0)
