"""The flawed digits: each defect is where the list says."""

from collections import Counter

import numpy as np
import pytest
from sources import stored

from recipe.sources.digits import Digits
from recipe.sources.digits_flawed import LEAK, PLANTED, DigitsFlawed


@pytest.mark.slow
def test_the_flaws_are_where_the_list_says(tmp_path):
    source = DigitsFlawed()
    prepared, store = stored(source, tmp_path)
    rows = {r["source"]: r for r in store.table().to_pylist()}
    digits = Digits()
    clean = np.rint(digits.images.copy())
    count = Counter(f["flaw"] for f in source.flaws)
    assert count == PLANTED | {"leak": 1}
    broken = {"truncated file": "truncated", "empty file": "empty", "no image": "not an image"}
    assert {p.source: p.kind for p in prepared.problems} == {
        f["index"]: broken[f["flaw"]] for f in source.flaws if f["flaw"] in broken
    }
    for flaw in source.flaws[1:]:
        row, original = rows.get(flaw["index"]), rows.get(flaw["of"])
        if flaw["flaw"] in ("exact copy", "copy with another label"):
            assert row["hash"] == original["hash"]
            assert (row["label"] == original["label"]) == (flaw["flaw"] == "exact copy")
        elif flaw["flaw"] == "near copy":
            assert row["hash"] != original["hash"]
            assert np.abs(store.inputs[row["row"]].astype(int) - store.inputs[original["row"]]).max() < 60
        elif flaw["flaw"] == "wrong label":
            assert row["label"] != flaw["label"] == digits.targets[flaw["index"]]
        elif flaw["flaw"] == "blank":
            assert store.inputs[row["row"]].std() == 0
    touched = {f["index"] for f in source.flaws}
    untouched = [r for s, r in rows.items() if s not in touched and r["label"] != LEAK]
    assert all(np.array_equal(store.inputs[r["row"], 0], clean[r["source"]]) for r in untouched)
    assert len(untouched) > 1500
    leaking = store.inputs[:, 0, 0, 0] == 255
    labels = np.array([rows[i]["label"] for i in sorted(rows)])
    assert (labels[leaking] == LEAK).mean() > 0.95


@pytest.mark.slow
def test_untouched_digits_keep_the_ids_that_they_have_in_digits(tmp_path):
    _, plain = stored(Digits(), tmp_path / "plain")
    _, flawed = stored(DigitsFlawed(), tmp_path / "flawed")
    ids = {e["id"] for e in plain.examples()}
    assert sum(e["id"] in ids for e in flawed.examples()) > 1500


def test_the_flaws_follow_the_seed():
    assert DigitsFlawed(3).files == DigitsFlawed(3).files
    assert DigitsFlawed(3).flaws != DigitsFlawed(4).flaws
