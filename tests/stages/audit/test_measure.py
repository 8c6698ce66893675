"""Whole audits of images with known flaws, of texts and of rows of features, with their checks and sentences."""

import numpy as np
import pytest
from audits import LIMITS, Rows, audit_of
from sklearn.datasets import load_breast_cancer

from recipe.sources.digits_flawed import LEAK, PLANTED, DigitsFlawed
from recipe.stages.audit import checks as claims
from recipe.stages.audit import shortcuts
from recipe.stages.audit.captions import METRIC_OF_FLAG, metrics, sentences
from recipe.stages.audit.checks import audited
from recipe.stages.audit.explorer import explorer_page
from recipe.stages.audit.figures import draw
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression
from recipe.verdict import checks_of, run


def verdicts_of(result, store, folder):
    (folder / "decisions.csv").write_text("id,action,label,reason\n")
    subject = audited(result, store, str(folder / "decisions.csv"))
    return {v.check: v.verdict for v in run(checks_of(*claims.CLAIMS), subject, limits={}, waive={}, where="")}


# ---- images --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flawed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flawed")
    source = DigitsFlawed()
    return source, *audit_of(source, folder), folder


def planted(source, result, flaw: str) -> np.ndarray:
    """Rows of the examples with a planted flaw; none of the unreadable ones is in the store."""
    row_of = {int(index): row for row, index in enumerate(result.columns["source"])}
    return np.array([row_of[f["index"]] for f in source.flaws if f["flaw"] == flaw])


@pytest.mark.slow
def test_what_was_planted_is_flagged(flawed):
    source, result, _, _ = flawed
    flags = result.columns["flags"]
    for flaw, flag in {
        "exact copy": "exact copy",
        "near copy": "near copy",
        "copy with another label": "other label",
        "blank": "blank",
    }.items():
        rows = planted(source, result, flaw)
        assert len(rows) == PLANTED[flaw]
        assert all(flag in flags[row] for row in rows), flaw


@pytest.mark.slow
def test_copies_are_in_the_group_of_their_original_and_no_one_else(flawed):
    source, result, _, _ = flawed
    row_of = {int(index): row for row, index in enumerate(result.columns["source"])}
    groups = result.columns["dup_group"]
    expected = {frozenset((row_of[f["index"]], row_of[f["of"]])) for f in source.flaws if f["of"] is not None}
    for pair in expected:
        assert len({groups[row] for row in pair}) == 1
    blank = set(planted(source, result, "blank").tolist())
    listed = {frozenset((p.a, p.b)) for p in result.pairs}
    assert {pair for pair in listed if not pair & blank} == expected


def test_wrong_labels_are_ranked_first(flawed):
    source, result, _, _ = flawed
    wrong = planted(source, result, "wrong label")
    first = np.argsort(-result.columns["label_suspicion"], kind="stable")[: 2 * len(wrong)]
    assert len(set(wrong.tolist()) & set(first.tolist())) >= 0.9 * len(wrong)
    low, high = result.judged.noise
    share = (PLANTED["wrong label"] + PLANTED["copy with another label"]) / len(result.columns["id"])
    assert low <= share <= high


def test_a_leak_into_one_pixel_is_named(flawed):
    _, result, store, folder = flawed
    assert (result.shortcut.position, result.shortcut.target) == ((0, 0, 0), LEAK)
    assert "row 0, column 0" in shortcuts.sentence(result.shortcut, store.task)
    verdicts = verdicts_of(result, store, folder)
    assert verdicts["no_single_number_tells_a_class"] == "fail"
    assert verdicts["equal_inputs_have_one_label"] == "fail"


def test_the_healthy_twin_raises_nothing(audited_digits):
    result, store, folder = audited_digits
    verdicts = verdicts_of(result, store, folder)
    assert {name for name, verdict in verdicts.items() if verdict == "fail"} == {"rows_are_exchangeable"}
    m = metrics(result, store.task)
    assert m["suspect_labels"] <= 3  # of 1,797: written so that a person hesitates, too
    assert sum(m[name] for name in METRIC_OF_FLAG.values()) == m["suspect_labels"]


@pytest.mark.slow
def test_copies_across_given_splits_are_noted(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    images[50] = images[3]
    given = ["train"] * 45 + ["test"] * 15
    source = Rows(images, np.arange(60) % 3, "abc", "image", given_split=given)
    result, store = audit_of(source, tmp_path)
    assert np.flatnonzero(["across splits" in f for f in result.columns["flags"]]).tolist() == [3, 50]
    assert verdicts_of(result, store, tmp_path)["no_copies_across_given_splits"] == "fail"


@pytest.mark.slow
def test_metadata_that_tells_the_label_is_named(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (500, 8, 8), dtype=np.uint8), rng.integers(0, 2, 500)
    camera = np.where(rng.random(500) < 0.9, labels, 1 - labels)
    healthy = rng.integers(0, 5, 500)
    listed = {"camera": [f"no {c}" for c in camera], "day": healthy.tolist()}
    result, store = audit_of(Rows(images, labels, ("cat", "dog"), "image", metadata=listed), tmp_path)
    assert result.metadata_bias.columns[0].column == "meta_camera"
    assert {g.column: g.verdict for g in result.metadata_bias.columns}["meta_day"] != "yes"
    assert verdicts_of(result, store, tmp_path)["metadata_says_nothing"] == "fail"
    assert any("`meta_camera` alone predicts the label" in t for t in sentences(result, store.task))


# ---- texts and feature rows ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_texts_are_audited(tmp_path):
    rng = np.random.default_rng(0)
    sport, cook = ["match", "team", "goal", "player", "coach"], ["soup", "salt", "onion", "pan", "butter"]
    common = ["the", "a", "we", "saw", "had", "then", "with", "very", "one", "two"]
    texts = [
        " ".join(rng.choice(common + 2 * (sport if n % 2 else cook), 14).tolist()) + f" ref{n}" for n in range(200)
    ]
    texts += [texts[0], texts[1].upper() + "!!", "x\x00\x01 \ufffd"]
    labels = [n % 2 for n in range(200)] + [0, 1, 0]
    labels[7] = 0  # wrong
    result, store = audit_of(Rows(texts, labels, ("cook", "sport"), "text"), tmp_path / "store")
    table = result.columns
    assert table["flags"][0] == table["flags"][200] == "exact copy"
    assert (table["dup_kind"][201], table["near_id"][201]) == ("case, blanks or signs", table["id"][1])
    assert table["odd_characters"].argmax() == 202
    assert 7 in np.argsort(-table["label_suspicion"])[:5]
    assert "ref12" in explorer_page(result, store, "notes", seed=0)
    figures = draw(result, store, LIMITS, tmp_path, seed=0)
    assert set(figures) == {"pictures/class_counts.png", "pictures/statistics.png"}
    assert verdicts_of(result, store, tmp_path)["every_input_is_finite"] == "skip"


@pytest.mark.slow
def test_feature_rows_are_audited(tmp_path):
    x, y = load_breast_cancer(return_X_y=True)
    names = [f"f{i}" for i in range(x.shape[1])] + ["key", "again", "answer"]
    x = np.column_stack([x, np.arange(len(x)), x[:, 0], 10 * y]).astype(np.float32)
    x[4, 3] = np.nan
    x = np.concatenate([x, x[:1]])
    source = Rows(x, [*y, y[0]], ("malignant", "benign"), "features", columns=names)
    result, store = audit_of(source, tmp_path / "store")
    assert (result.table.identifiers, result.table.equal) == ([], [("f0", "again")])  # the repeated row repeats the key
    assert result.columns["missing"][4] == pytest.approx(1 / len(names))
    assert (result.shortcut.position, result.shortcut.value) == ((names.index("answer"),), 1.0)
    assert result.columns["flags"][0] == result.columns["flags"][-1] == "exact copy"
    verdicts = verdicts_of(result, store, tmp_path)
    assert verdicts["columns_say_something"] == verdicts["no_single_number_tells_a_class"] == "fail"
    assert "x_f0" in explorer_page(result, store, "tumours", seed=0)
    assert draw(result, store, LIMITS, tmp_path, seed=0)


@pytest.mark.slow
def test_large_numbers_with_a_gap_among_the_metadata_are_audited(tmp_path):
    rng = np.random.default_rng(0)
    account = [None, *(2**53 + 1 + i for i in range(39))]
    x, y = rng.normal(size=(40, 2)).astype(np.float32), np.arange(40) % 2
    source = Rows(x, y, ("a", "b"), "features", columns=["u", "v"], metadata={"account": account})
    result, _ = audit_of(source, tmp_path / "store")
    assert np.isnan(result.columns["meta_account"]).sum() == 1


# ---- single numbers ------------------------------------------------------------------------------------------------


FOUR, TWO = Classification(tuple("abcd")), Classification(("no", "yes"))


def test_chance_tells_no_class():
    rng = np.random.default_rng(0)
    assert shortcuts.shortcut(rng.normal(size=(600, 1, 6, 6)), rng.integers(0, 4, 600), FOUR).value < 0.3


def test_a_column_that_tells_the_label_is_named_whatever_else_it_holds():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 900)
    x = np.column_stack([rng.normal(size=900), 2.0 * labels + rng.normal(0, 1e-3, 900), rng.lognormal(0, 3, 900)])
    x[5, 1] = 1e9  # one extreme value: in equal steps all the others would be in one
    result = shortcuts.shortcut(x, labels, TWO, ["a", "leak", "b"])
    assert (result.position, result.name, result.value > 0.99) == ((1,), "leak", True)
    assert shortcuts.shortcut(x[:, [0, 2]], labels, TWO, ["a", "b"]).value < 0.2


def with_leak(x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The target at position 2 of each row, or pixel (0, 2) of each image, and hardly any noise."""
    leaking = x.copy()
    leaking.reshape(len(x), -1)[:, 2] = target + 0.01 * np.random.default_rng(1).normal(size=len(x))
    return leaking


@pytest.mark.parametrize("shape", [(5,), (1, 4, 4)], ids=["table", "images"])
def test_a_leak_of_one_label_or_quantity_of_several_is_named(shape):
    rng = np.random.default_rng(0)
    x, amounts = rng.normal(size=(600, *shape)), rng.lognormal(size=(600, 3))
    present, labels, quantities = amounts > 1.5, Multilabel(("a", "b", "c")), Regression(("a", "b", "c"))
    for actual, task, measure in ((present.astype(float), labels, "Youden"), (amounts, quantities, "rank correlation")):
        healthy = shortcuts.shortcut(x, actual, task)
        assert healthy.value < 0.2
        target = actual[:, 1] if task is labels else -np.log(actual[:, 1])  # also where the number falls
        found = shortcuts.shortcut(with_leak(x, target), actual, task)
        assert (found.position, found.target) == ((2,) if len(shape) == 1 else (0, 0, 2), 1)
        assert found.value > (0.97 if len(shape) == 1 or task is labels else 0.9)  # pixels are in 32 steps
        assert f"`b` {'with a Youden' if task is labels else 'is'}" in shortcuts.sentence(found, task)
        assert measure in shortcuts.sentence(found, task)


def test_few_examples_give_no_shortcut():
    x = np.arange(24.0).reshape(12, 2)
    assert shortcuts.shortcut(x, x[:, :1], Regression(("a",))).value == 0
    assert shortcuts.shortcut(x, (x > 11).astype(float), Multilabel(("a", "b"))).value == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_break_nothing(value):
    x = np.random.default_rng(0).normal(size=(100, 3))
    x[::7, 1] = value
    assert 0 <= shortcuts.shortcut(x, np.arange(100) % 2, TWO).value <= 1
