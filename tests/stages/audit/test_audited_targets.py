"""Whole audits of quantities and of several labels: columns, flags, sentences, claims, pictures and the page."""

import numpy as np
import pytest
from audits import LIMITS, Measured, audit_of
from pages import payload, values
from sklearn.datasets import load_digits, make_friedman1

from recipe.files import read_table
from recipe.stages.audit import checks as claims
from recipe.stages.audit import outputs
from recipe.stages.audit.captions import evidence, metrics, sentences, summary
from recipe.stages.audit.explorer import explorer_page
from recipe.stages.audit.figures import draw
from recipe.stages.audit.label_targets import LabelTargets
from recipe.stages.audit.neighbours import nearest
from recipe.stages.audit.order import order_of
from recipe.stages.audit.quantity_targets import QuantityTargets
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression
from recipe.verdict import checks_of, run

X, Y = make_friedman1(800, 6, noise=1.0, random_state=0)
X = X.round(6)  # as a table has them
COLUMNS = [f"c{i}" for i in range(X.shape[1])]


def verdicts_of(result, store, folder, decisions=""):
    (folder / "decisions.csv").write_text(f"id,action,label,reason\n{decisions}")
    subject = claims.audited(result, store, str(folder / "decisions.csv"))
    return {v.check: v for v in run(checks_of(*claims.CLAIMS), subject, where="a test")}


def audited_quantity(folder, y, **more):
    return audit_of(Measured(X, y[:, None], target_columns=["yield"], unit="kg", columns=COLUMNS, **more), folder)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """(audit, store, folder): 8 of 800 values are ten times too large, 3 are -999."""
    y = Y.copy()
    y[:8], y[8:11] = 10 * y[:8] + 50, -999  # at least 50 more, for small values times ten are ordinary
    folder = tmp_path_factory.mktemp("wrong")
    return *audited_quantity(folder, y), folder


def test_a_healthy_quantity_has_no_note_about_itself(tmp_path):
    result, store = audited_quantity(tmp_path, Y)
    found = verdicts_of(result, store, tmp_path)
    names = ("quantities_agree", "quantities_have_no_outliers", "labels_are_distinct", "targets_vary")
    assert {found[name].verdict for name in names} == {"pass"}
    assert found["rows_are_exchangeable"].verdict == "pass"
    assert metrics(result, store.task)["neighbours_r2"] > 0.6
    assert "`yield`: a cross-validated model explains" in " ".join(sentences(result, store.task))


@pytest.mark.parametrize("leak", [True, False])
def test_a_column_that_gives_a_quantity_is_a_finding(tmp_path, leak):
    x = np.column_stack([X, 3 * Y + 1 if leak else X.sum(1)])
    source = Measured(x, Y[:, None], target_columns=["yield"], columns=[*COLUMNS, "weighed later"])
    result, store = audit_of(source, tmp_path)
    found = verdicts_of(result, store, tmp_path)["no_single_number_tells_a_class"]
    assert found.verdict == ("fail" if leak else "pass")
    if leak:
        assert found.value == "1 (weighed later)"
        assert "`weighed later`, gives the answer" in found.finding
        assert "rank correlation with `yield` is 1.00" in " ".join(sentences(result, store.task))


def test_wrong_quantities_are_flagged_with_their_prediction(wrong):
    result, store, _ = wrong
    table = result.columns
    assert all({"suspect label", "target outlier"} <= set(table["flags"][row].split("; ")) for row in range(8, 11))
    assert all("suspect label" in table["flags"][row] for row in range(8))
    assert sum("suspect label" in text for text in table["flags"][11:]) <= 3
    assert table["residual"] == pytest.approx(result.actual[:, 0] - table["predicted_value"], rel=1e-3, abs=1e-3)
    assert table["target_doubt"][8].startswith("may be a code for a missing value")
    assert table["suggested"][0].endswith(" kg")
    assert list(table) == list(result.meanings)
    assert "target outlier (far from all other values)" in result.meanings["flags"]
    assert "in kg" in result.meanings["residual"]
    texts = " ".join(sentences(result, store.task))
    assert "`yield`: -999 occurs 3 times, far from all other values" in texts


def test_claims_about_wrong_quantities_and_the_decisions_that_settle_them(wrong):
    result, store, folder = wrong
    found = verdicts_of(result, store, folder)
    assert (found["quantities_agree"].verdict, found["quantities_have_no_outliers"].verdict) == ("fail", "fail")
    assert not found["quantities_agree"].closes
    assert "of 800 quantities are far from what similar examples have" in found["quantities_agree"].finding
    lines = "".join(f"{result.columns['id'][row]},drop,,wrong\n" for row in range(11))
    settled = verdicts_of(result, store, folder, lines)
    assert settled["quantities_have_no_outliers"].verdict == "pass"
    assert settled["quantities_agree"].verdict == "pass"


def test_the_page_of_quantities(wrong):
    result, store, _ = wrong
    page = payload(explorer_page(result, store, "yields", seed=0))
    assert (page["entry"], page["classes"], page["measured"]) == ("number", ["yield"], ["y_yield"])
    assert page["roles"]["residual"] == "residual"
    assert page["roles"]["doubt"] == "target_doubt"
    columns = {c["name"]: c for c in page["columns"]}
    assert values(columns["y_yield"]) == pytest.approx(result.actual[:, 0], rel=1e-6)
    assert "1 equal input with" not in page["summary"]
    assert "0 outliers, " in page["summary"]


@pytest.mark.slow
def test_files_and_pictures_of_quantities(wrong):
    result, store, folder = wrong
    outputs.write(result, store, "yields", 0, folder)
    rows = read_table(folder / "examples.parquet")
    assert rows[8]["residual_z"] == 1e6
    figures = draw(result, store, LIMITS, folder, seed=0)
    assert list(figures) == [f"pictures/{n}.png" for n in ("class_counts", "suspect_values", "statistics", "columns")]
    assert all((folder / file).stat().st_size > 5_000 for file in figures)
    shown = evidence(figures)
    assert shown["quantities_agree"] == ["explorer.html", "pictures/suspect_values.png"]
    assert all((folder / file).is_file() for files in shown.values() for file in files)


def test_several_quantities_have_their_own_columns(tmp_path):
    y = np.stack([Y, 1000 * Y, X[:, 0]], 1)
    result, store = audit_of(Measured(X, y, target_columns=["a", "b", "c"], columns=COLUMNS), tmp_path)
    assert {"label_suspicion", "label_suspicion of b", "residual of c", "target_outlier of a"} <= set(result.columns)
    assert "residual" not in payload(explorer_page(result, store, "three", seed=0))["roles"]["residual"]
    found = verdicts_of(result, store, tmp_path)["labels_are_distinct"]
    assert (found.verdict, found.value) == ("fail", "1 (`a` and `b`)")


def test_a_quantity_may_have_a_name_that_begins_like_a_column():
    task, y = Regression(("a", "z_a", "a_z")), np.stack([Y, X[:, 0], X[:, 1]], 1)[:60]
    judged = QuantityTargets(task).judge(X[:60], y, [str(i) for i in range(60)], 0)
    columns = judged.columns()
    assert list(columns) == list(judged.meanings())[: len(columns)]
    assert len(columns) == 1 + 5 * 3 + 2


def test_few_quantities_are_not_judged_and_have_no_empty_columns(tmp_path):
    result, store = audit_of(Measured(X[:15], Y[:15, None], target_columns=["a"], columns=COLUMNS), tmp_path)
    assert result.judged is None
    assert not {"label_suspicion", "suggested", "residual"} & set(result.columns)
    found = verdicts_of(result, store, tmp_path)
    assert (found["quantities_agree"].verdict, found["quantities_have_no_outliers"].verdict) == ("skip", "skip")
    assert payload(explorer_page(result, store, "few", seed=0))["roles"]["suspect"] == ""


def test_equal_rows_with_other_values_leave_a_share_of_the_variance(tmp_path):
    x, y = np.tile(np.arange(40.0)[:, None], (2, 2)), np.concatenate([np.arange(40.0), np.arange(40.0) + 4])
    result, store = audit_of(Measured(x, y[:, None], target_columns=["a"], columns=["p", "q"]), tmp_path)
    finding = verdicts_of(result, store, tmp_path)["equal_inputs_have_one_label"].finding
    share = 4 / y.var()  # halves of 4 apart: a variance of 4 among equal rows
    assert f"it leaves at least {100 * share:.2g} % of the variance" in finding


@pytest.mark.parametrize("order", ["shuffled", "sorted", "blocks"])
def test_a_file_sorted_by_its_quantity_counts_as_shuffled_and_one_in_blocks_does_not(order):
    rows = {"shuffled": np.arange(800), "sorted": np.argsort(Y), "blocks": np.argsort(X[:, 0] > 0.5, kind="stable")}
    points = X[rows[order]].astype(np.float32)
    slices = QuantityTargets(Regression(("a",))).sorted_by(Y[rows[order]][:, None])
    found = order_of(points, nearest(points, np.zeros(800)), slices, seed=0)
    assert (found.gap < 1 - 5 * found.spread) == (order == "blocks")


# ---- several labels ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """(audit, store, folder, which entries are wrong): digits with labels, 5 % of which are missing."""
    read = load_digits()
    t, rng = read.target[:900], np.random.default_rng(0)
    true = np.stack([t % 2 == 0, np.isin(t, [0, 6, 8, 9]), t > 4, t <= 4], 1).astype(int)
    labels = np.where((rng.random(true.shape) < 0.05) & (np.arange(4) < 2), 0, true)
    folder = tmp_path_factory.mktemp("sets")
    images = (read.images[:900] * 15.9375).astype(np.uint8)[:, None]
    source = Measured(images, labels, kind="image", labels=["even", "loop", "high", "low"])
    return *audit_of(source, folder), folder, labels != true


@pytest.mark.slow
def test_missing_labels_are_named(sets):
    result, store, _, wrong = sets
    table = result.columns
    missing = np.array([text != "" for text in table["missing_labels"]])
    assert wrong.any(1)[missing].mean() > 0.9
    assert missing[wrong.any(1)].mean() > 0.4
    row = int(np.flatnonzero(missing & wrong.any(1))[0])
    assert set(table["suggested"][row].split("; ")) > set(filter(None, table["class"][row].split("; ")))
    texts = " ".join(sentences(result, store.task))
    assert "Labels that seem to be missing from examples: `" in texts
    m = metrics(result, store.task)
    assert m["label_noise_low"] <= wrong.mean() <= m["label_noise_high"]
    assert summary(m, store.task).startswith("900 examples with 4 labels, ")


@pytest.mark.slow
def test_claims_page_and_pictures_of_labels(sets):
    result, store, folder, _ = sets
    found = verdicts_of(result, store, folder)
    assert found["labels_are_distinct"].value == "1 (`high` = not `low`)"
    assert found["labels_agree"].verdict in ("fail", "undecided")
    assert "of 3,600 labels are wrong" in found["labels_agree"].finding
    page = payload(explorer_page(result, store, "sets", seed=0))
    assert (page["entry"], page["classes"], page["measured"]) == ("any", ["even", "loop", "high", "low"], [])
    assert {c["name"]: c.get("separator") for c in page["columns"]}["class"] == "; "
    figures = draw(result, store, LIMITS, folder, seed=0)
    assert {f"pictures/{n}.png" for n in ("class_counts", "together", "classes", "suspects")} <= set(figures)
    assert evidence(figures)["quantities_agree"] == ["explorer.html"]  # no picture of another task


def test_labels_that_are_classes_and_labels_that_imply_others():
    targets = LabelTargets(Multilabel(("a", "b", "c")))
    one = np.eye(3)[np.arange(90) % 3]
    assert "exactly one of the labels" in targets.findings(one)[0]
    rng = np.random.default_rng(0)
    a = rng.random(300) < 0.5
    several = np.stack([a, a & (rng.random(300) < 0.5), rng.random(300) < 0.5], 1).astype(float)
    assert targets.findings(several) == ["Labels that never occur without another one: `b` without `a`."]
    assert targets.unvaried(np.stack([a, np.ones(300), np.zeros(300)], 1)) == ["b", "c"]


def test_sets_of_labels_by_which_a_file_may_be_sorted():
    labels = (np.random.default_rng(0).random((500, 8)) < 0.5).astype(float)
    groups = LabelTargets(Multilabel(tuple("abcdefgh"))).sorted_by(labels)
    assert set(groups) == set(range(21))
