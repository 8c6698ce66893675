"""What the audit measures: planted flaws are flagged, clean data are not."""

import numpy as np
import pytest
from audits import LIMITS, Rows, audit_of

from recipe.files import present, read_table, write_table, write_text
from recipe.sources.digits import Digits
from recipe.stages.audit.captions import metrics, sentences
from recipe.stages.audit.checks import audited
from recipe.stages.audit.explorer import explorer_page
from recipe.stages.audit.figures import draw
from recipe.stages.audit.neighbours import TREE, K, nearest, pixel_components
from recipe.stages.audit.order import order_of, position_in_class
from recipe.stages.audit.outputs import write_pairs, write_probes
from recipe.stages.audit.statistics import BINS, statistics


@pytest.fixture(scope="module")
def digits():
    return Digits()


def flags_of(result, row):
    """The flags of an example, except that of its label, which tests/stages/audit/test_measure.py examines."""
    return set(result.columns["flags"][row].split("; ")) - {"", "suspect label"}


@pytest.mark.parametrize("columns", [2, TREE, TREE + 1, 30])
def test_nearest_neighbours_are_exact_in_few_and_in_many_dimensions(columns):
    points = np.random.default_rng(columns).normal(size=(300, columns)).astype(np.float32)
    near = nearest(points, np.zeros(300))
    distances = np.linalg.norm(points[:, None].astype(float) - points[None], axis=2) + np.diag(np.full(300, np.inf))
    assert near.index.tolist() == distances.argsort(1)[:, :K].tolist()
    assert near.distance == pytest.approx(np.sort(distances, 1)[:, :K], abs=1e-6)


@pytest.mark.slow
def test_digits_are_clean_but_in_blocks(audited_digits):
    result, store, _ = audited_digits
    m = metrics(result, store.task)
    assert list(result.columns) == list(result.meanings)
    assert all(len(values) == 1797 for values in result.columns.values())
    assert not any(flags_of(result, row) for row in range(1797))
    assert (m["exact_copies"], m["near_copies"], m["outliers"], m["blank"], m["label_conflicts"]) == (0, 0, 0, 0, 0)
    assert m["order_gap"] == pytest.approx(0.72, abs=0.01)
    assert 0.015 < m["shuffled_split_gain"] < 0.04  # 2.4 points: writers are shared
    texts = sentences(result, store.task)
    assert "28 % closer in the file" in texts[0]
    assert any(text.startswith("Labels: an estimated 0 to 1 % are wrong") for text in texts)
    assert sum("linear probe" in text or "linear-probe" in text for text in texts) >= 4


def test_shuffled_digits_are_exchangeable(digits):
    labels = digits.targets
    for seed in range(3):
        mix = np.random.default_rng(seed).permutation(len(labels))
        points, rest = pixel_components(digits.images[mix][:, None], np.arange(len(labels)))
        order = order_of(points, nearest(points, rest), labels[mix], seed=0)
        assert abs(order.gap - 1) < 3.5 * order.spread < 0.03
        assert abs(order.gain) < 0.006


def test_a_file_sorted_by_class_counts_as_shuffled(digits):
    mix = np.random.default_rng(0).permutation(len(digits.targets))
    mix = mix[np.argsort(digits.targets[mix], kind="stable")]
    labels = digits.targets[mix]
    points, rest = pixel_components(digits.images[mix][:, None], np.arange(len(labels)))
    order = order_of(points, nearest(points, rest), labels, seed=0)
    assert abs(order.gap - 1) < 3.5 * order.spread


def test_places_are_within_a_class():
    assert position_in_class(np.array([1, 0, 1, 0])).tolist() == [0.25, 0.25, 0.75, 0.75]


@pytest.fixture(scope="module")
def planted(digits):
    """600 digits and, after them: an exact copy, one with another label, near copies, blanks, outliers."""
    rng = np.random.default_rng(0)
    images, targets = list(digits.images[:600]), list(digits.targets[:600])
    plants = {
        "exact": (images[0], targets[0]),
        "conflict": (images[1], (targets[1] + 1) % 10),
        "noisy": (np.clip(images[2] + rng.normal(0, 4, (8, 8)), 0, 255).astype(np.uint8), targets[2]),
        "dim": ((images[3] * 0.8).astype(np.uint8), targets[3]),
        "blank": (np.full((8, 8), 7, np.uint8), 0),
        "noise": (rng.integers(0, 256, (8, 8), dtype=np.uint8), 0),
        "inverted": (255 - images[4], targets[4]),
    }
    row = {name: 600 + i for i, name in enumerate(plants)}
    images += [image for image, _ in plants.values()]
    targets += [target for _, target in plants.values()]
    return np.stack(images), targets, row


@pytest.fixture(scope="module")
def planted_audit(planted, tmp_path_factory):
    """(audit, store), without the probes."""
    return audit_of(Rows(*planted[:2]), tmp_path_factory.mktemp("planted"))


@pytest.mark.slow
def test_planted_flaws_are_flagged_and_nothing_else(planted, planted_audit):
    images, targets, row = planted
    result, _ = planted_audit
    table = result.columns
    assert flags_of(result, row["exact"]) == flags_of(result, 0) == {"exact copy"}
    assert flags_of(result, row["conflict"]) == flags_of(result, 1) == {"exact copy", "other label"}
    assert flags_of(result, row["noisy"]) == flags_of(result, 2) == {"near copy"}
    assert flags_of(result, row["dim"]) == flags_of(result, 3) == {"near copy"}
    assert "blank" in flags_of(result, row["blank"])
    assert "outlier" in flags_of(result, row["noise"])
    assert "outlier" in flags_of(result, row["inverted"])
    assert sum(bool(flags_of(result, n)) for n in range(len(images))) == 11
    assert (table["dup_kind"][row["noisy"]], table["dup_kind"][row["dim"]]) == ("recompressed", "darker")
    for plant, original in {"exact": 0, "conflict": 1, "noisy": 2, "dim": 3}.items():
        assert table["dup_group"][row[plant]] == table["dup_group"][original]
        assert table["near_id"][row[plant]] == table["id"][original]
        assert table["near_label"][row[plant]] == targets[original]
    alone = table["dup_kind"] == "none"
    assert (table["dup_group"][alone] == table["id"][alone]).all()


@pytest.mark.slow
def test_copies_of_copies_are_one_group(digits, tmp_path):
    images = np.concatenate([digits.images[:200], digits.images[[0, 0, 0]], digits.images[:1] // 2])
    result, _ = audit_of(Rows(images, [*digits.targets[:200], *digits.targets[[0, 0, 0, 0]]]), tmp_path)
    members = np.flatnonzero(result.columns["dup_group"] == result.columns["dup_group"][0])
    assert members.tolist() == [0, 200, 201, 202, 203]
    assert result.columns["dup_kind"][members].tolist() == ["exact"] * 4 + ["darker"]


def test_statistics_are_those_of_the_pixels(digits):
    measured = statistics(digits.images[:50, None])
    x = digits.images[:50].reshape(50, -1) / 255
    for name, values in {"mean": x.mean(1), "std": x.std(1), "min": x.min(1), "max": x.max(1)}.items():
        assert measured.columns[name] == pytest.approx(values, abs=1e-6)
    assert measured.histograms.sum(1) == pytest.approx(np.ones(50))
    flat = statistics(np.full((1, 1, 4, 4), 9, np.uint8))
    assert flat.columns["entropy"].tolist() == [0]
    assert statistics(np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)).columns["entropy"] == pytest.approx(
        np.log2(BINS), abs=0.01
    )


def test_blocks_do_not_change_the_numbers(digits, monkeypatch):
    whole = statistics(digits.images[:70, None])
    points, _ = pixel_components(digits.images[:70, None], np.arange(0, 70, 2))
    monkeypatch.setattr("recipe.stages.audit.statistics.BLOCK", 64 * 9)
    pieces = statistics(digits.images[:70, None])
    assert all(np.array_equal(whole.columns[name], pieces.columns[name]) for name in whole.columns)
    assert np.array_equal(points, pixel_components(digits.images[:70, None], np.arange(0, 70, 2))[0])


@pytest.mark.slow
def test_values_that_are_not_finite_are_flagged_and_break_nothing(tmp_path):
    images = np.random.default_rng(0).random((40, 5, 5)).astype(np.float32)
    images[3, 0, 0], images[4, 1, 1] = np.nan, np.inf
    result, store = audit_of(Rows(images, np.arange(40) % 10), tmp_path)
    assert np.flatnonzero(~result.columns["finite"]).tolist() == [3, 4]
    assert "not finite" in flags_of(result, 3)
    assert draw(result, store, LIMITS, tmp_path / "pictures", seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 40, 17)])
def test_small_and_large_colour_images(tmp_path, shape):
    images = np.random.default_rng(0).integers(0, 256, (30, *shape[1:], shape[0]), dtype=np.uint8)
    source = Rows(images if shape[0] == 3 else images[..., 0], np.arange(30) % 7)  # three classes are empty
    result, store = audit_of(source, tmp_path)
    assert result.columns["height"][0] == shape[1]
    assert result.columns["channels"][0] == shape[0]
    pictures = draw(result, store, LIMITS, tmp_path / "pictures", seed=0)
    assert all((tmp_path / "pictures" / name).is_file() for name in pictures)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tiny_data_sets_break_nothing(tmp_path, digits, count):
    result, store = audit_of(Rows(digits.images[:count], digits.targets[:count]), tmp_path)
    assert metrics(result, store.task)["examples"] == count


@pytest.mark.slow
def test_the_evidence_is_the_same_bytes_again(planted, tmp_path):
    images, targets, _ = planted
    for name in ("one", "two"):
        result, store = audit_of(Rows(images[570:], targets[570:]), tmp_path)
        write_table(tmp_path / name / "examples.parquet", result.columns, result.meanings)
        write_pairs(result.pairs, result.columns["id"], tmp_path / name / "pairs.parquet")
        write_probes(result, tmp_path / name / "probes.json")
        write_text(tmp_path / name / "explorer.html", explorer_page(result, store, "planted", seed=0))
        pictures = draw(result, store, LIMITS, tmp_path / name, seed=0)
    for file in ("examples.parquet", "pairs.parquet", "probes.json", "explorer.html", *pictures):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


@pytest.mark.slow
def test_the_table_comes_back_with_what_its_columns_mean(planted_audit, tmp_path):
    from pyarrow import parquet

    result, _ = planted_audit
    write_table(tmp_path / "examples.parquet", result.columns, result.meanings)
    rows = read_table(tmp_path / "examples.parquet")
    assert [row["id"] for row in rows] == result.columns["id"].tolist()
    assert isinstance(rows[0]["label"], int)
    schema = parquet.read_schema(present(tmp_path / "examples.parquet"))
    assert all(schema.field(name).metadata[b"meaning"] for name in result.columns)


def test_decisions_settle_a_conflict(planted, planted_audit, tmp_path):
    _, targets, row = planted
    result, store = planted_audit
    path = tmp_path / "decisions.csv"
    path.write_text(f"id,action,label,reason\n{result.columns['id'][row['conflict']]},drop,,wrong label\n")
    labels = audited(result, store, path).labels
    assert labels[row["conflict"]] is None
    assert labels[:600] == targets[:600]
