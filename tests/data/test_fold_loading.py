"""Each fold is a set of data of its own: nothing of its validation part is in what standardises it."""

import numpy as np
import pytest
import torch
from folded import FOLDS, listed, loaded
from systems import CONFIG

from recipe.data.batches import Data
from recipe.data.splits import read_folds, write_folds
from recipe.data.store import Store
from recipe.data.streaming import StreamedInputs
from recipe.errors import RecipeError
from recipe.files import read_csv


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return listed(tmp_path_factory.mktemp("folded"))


@pytest.fixture(scope="module")
def data(root):
    return loaded(root)[0]


def bits(data: Data) -> list:
    tensors = [data.train.x, data.train.y, data.val.x, data.val.y, data.mean, data.std]
    return [data.train.ids, data.val.ids, data.task, *(t.numpy().tobytes() for t in tensors)]


def test_the_first_fold_is_what_is_loaded_without_folds_to_the_bit(root, data):
    plain, _ = loaded(root, folds=False)
    assert bits(plain) == bits(data) == bits(data.folds[0])
    assert plain.folds == ()
    assert plain.parts == (plain,)


def test_without_folds_the_empty_list_changes_nothing(tmp_path):
    root = listed(tmp_path, folds=None)
    plain, with_list = loaded(root, folds=False), loaded(root)
    assert bits(plain[0]) == bits(with_list[0])
    assert with_list[0].folds == with_list[1].folds == ()
    assert plain[1].x.equal(with_list[1].x)


def test_the_folds_validate_on_each_example_once_and_train_on_the_others(root, data):
    assert len(data.folds) == FOLDS
    everything = sorted(data.train.ids + data.val.ids)
    assert sorted(name for fold in data.folds for name in fold.val.ids) == everything
    for number, fold in enumerate(data.folds):
        assert sorted(fold.train.ids + fold.val.ids) == everything
        assert {name for name, of in read_folds(root / "runs/split") if of == number} == set(fold.val.ids)


def test_each_fold_is_standardised_by_its_own_training_examples(root, data):
    store = Store.open(CONFIG, root / "runs/prepare")
    label = {r["id"]: float(r["label"]) for n in ("train", "val") for r in read_csv(root / f"runs/split/{n}.csv")}
    for fold in data.folds:
        raw = np.array(store.inputs[store.rows(fold.train.ids)], np.float64)
        known = ~np.isnan(raw)
        assert fold.mean.numpy() == pytest.approx(np.nanmean(raw, 0), rel=1e-5)
        assert fold.std.numpy() == pytest.approx(np.nanstd(raw, 0, ddof=1), rel=1e-5)
        assert known.sum() < raw.size
        assert fold.train.x.numpy()[~known].tolist() == [0.0] * int((~known).sum())
        ages = np.array([label[name] for name in fold.train.ids])
        assert fold.task.mean == pytest.approx([ages.mean()])
        assert fold.task.std == pytest.approx([ages.std()])
        assert fold.task.actual(fold.val.y)[:, 0].numpy() == pytest.approx([label[n] for n in fold.val.ids], abs=1e-4)
    assert len({fold.task.mean for fold in data.folds}) == FOLDS


def test_the_validation_examples_of_a_fold_do_not_move_its_scale(root, data):
    """All inputs of one fold's validation part are replaced by a million: only the other folds notice."""
    spoiled = np.array(Store.open(CONFIG, root / "runs/prepare").inputs)
    rows = Store.open(CONFIG, root / "runs/prepare").rows(data.folds[2].val.ids)
    spoiled[rows] = 1e6
    real = np.load(root / "runs/prepare/inputs.npy")
    np.save(root / "runs/prepare/inputs.npy", spoiled)
    try:
        moved = loaded(root)[0]
    finally:
        np.save(root / "runs/prepare/inputs.npy", real)
    same = [a.mean.equal(b.mean) and a.train.x.equal(b.train.x) for a, b in zip(data.folds, moved.folds, strict=True)]
    assert same == [False, False, True, False]


def test_targets_that_are_held_out_are_in_the_order_of_the_folds(data):
    actual = data.actual_held_out
    assert len(actual) == len(data.train) + len(data.val)
    assert actual[: len(data.val)].equal(data.task.actual(data.val.y))
    last = data.folds[-1]
    assert actual[-len(last.val) :].equal(last.task.actual(last.val.y))


def within(x, data):
    low, high = data.limits
    return (low < x) & (x < high)


def test_test_is_standardised_like_each_fold(root, data):
    test = loaded(root)[1]
    assert len(test.parts) == FOLDS
    assert test.x.equal(test.parts[0].x)
    for fold, part in zip(data.folds, test.parts, strict=True):
        assert part.ids == test.ids
        assert part.x.eq(0).equal(test.x.eq(0))  # what is missing is the mean of each fold
        known = (test.x != 0) & within(test.x, data) & within(part.x, fold)  # beyond, each fold has limits of its own
        assert known[:, :2].float().mean() > 0.8
        assert torch.allclose((part.x * fold.std + fold.mean)[known], (test.x * data.std + data.mean)[known], atol=1e-4)
        assert fold.task.actual(part.y).numpy() == pytest.approx(data.task.actual(test.y).numpy(), abs=1e-4)


def test_folds_that_do_not_fit_are_streamed_with_the_same_values(root, data):
    streamed, _ = loaded(root, memory=0.0)
    for a, b in zip(streamed.folds, data.folds, strict=True):
        assert isinstance(a.train.x, StreamedInputs)
        assert torch.cat(list(a.train.x.split(50))).equal(b.train.x)


def test_every_fold_has_the_same_metric(data):
    assert {fold.metric.name for fold in data.folds} == {"rmse"}
    one, other = (fold.metric.of_networks(torch.ones(1, 1, 1), torch.zeros(1, 1)).item() for fold in data.folds[:2])
    assert (one, other) == pytest.approx([fold.task.std[0] for fold in data.folds[:2]])


def test_a_list_of_another_run_is_refused(tmp_path):
    root = listed(tmp_path)
    folds = dict(read_folds(root / "runs/split"))
    write_folds(dict(list(folds.items())[1:]), root / "runs/split")
    with pytest.raises(RecipeError, match=r"folds.csv lists other examples than train and val. Run `dvc repro split`."):
        loaded(root)
