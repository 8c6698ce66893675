"""What the net is given: standardised by the training examples alone."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf
from sklearn.datasets import load_breast_cancer
from sources import CONFIG, Set, Wide

from recipe.config.changes import change
from recipe.config.compose import compose
from recipe.data.batches import load, read_test
from recipe.data.splits import write_split
from recipe.data.store import Store
from recipe.data.tokens import UNKNOWN, Words
from recipe.files import write_csv
from recipe.sources.tables import Table
from recipe.stages.baseline.baselines import train_baselines
from recipe.stages.prepare.write_store import prepare
from recipe.stages.split.divide import Plan, divide


def lists_of(folder, **rows):
    for name, chosen in rows.items():
        write_csv(folder / f"{name}.csv", [{"id": f"i{r}", "row": r, "label": r % 2} for r in chosen])
    write_csv(folder / "classes.csv", [{"label": n, "class": name} for n, name in enumerate("ab")])


def test_each_column_is_standardised_by_its_known_training_values(tmp_path):
    values = np.array([[1, 1e9, 7, 3], [3, 1e9 + 4e8, 7, np.nan], [np.nan, 1e9 - 4e8, 7, np.nan], [2.5, 8e8, 7, 3]])
    source = Wide([(row, n % 2) for n, row in enumerate(values)])
    source.columns = list("abcd")
    prepare(source, CONFIG, tmp_path)
    lists_of(tmp_path, train=[0, 1, 2], val=[3])
    data = load(CONFIG, "cpu", lists=tmp_path, folder=tmp_path)
    assert data.train.x.mean(0).abs().max() < 1e-6
    assert data.train.x[:, 0].tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5, 0])  # missing: the mean
    assert data.train.x[:, 1].std().item() == pytest.approx(1)
    assert data.train.x[:, 2].tolist() == [0, 0, 0]
    assert data.val.x[0].tolist() == pytest.approx([0.5 / 2**0.5, -0.5, 0, 0])
    assert tuple(data.pictures(data.train.x).shape) == (3, 1, 2, 2)
    assert data.pictures(data.train.x)[0, 0, 1, 0] == 0.5


def test_values_beyond_those_of_training_are_clipped_to_them(tmp_path):
    draw = np.random.default_rng(0)
    values = draw.normal(50, 9, (60, 3))
    values[draw.random(values.shape) < 0.1] = np.nan
    values[:40, 2] = np.nan  # nothing is known of this column in training
    values[50] = [1e9, -1e9, 4]
    source = Wide([(row, n % 2) for n, row in enumerate(values)])
    source.columns = list("abc")
    prepare(source, CONFIG, tmp_path)
    lists_of(tmp_path, train=range(40), val=range(40, 50), test=range(50, 60))
    data = load(CONFIG, "cpu", lists=tmp_path, folder=tmp_path)
    test = read_test(data, CONFIG, "cpu", lists=tmp_path, folder=tmp_path)
    low, high = (data.train.x.amin(0), data.train.x.amax(0))
    for x in data.train.x, data.val.x, test.x:
        assert ((low <= x) & (x <= high)).all()
    assert test.x[0].tolist() == [high[0], low[1], 0]
    inside = (values[50:, :2] > np.nanmin(values[:40, :2], 0)) & (values[50:, :2] < np.nanmax(values[:40, :2], 0))
    assert np.allclose((test.x * data.std + data.mean)[:, :2].numpy()[inside], values[50:, :2][inside], rtol=1e-5)
    assert inside.sum() > 8


@pytest.mark.slow
def test_a_table_is_learned_beside_its_baselines(tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    frame = load_breast_cancer(as_frame=True).frame
    frame.to_csv(tmp_path / "x.csv", index=False)
    prepare(Table(tmp_path / "x.csv", label="target"), CONFIG, tmp_path)
    rows = [e | {"dup_group": e["id"]} for e in Store.open(CONFIG, tmp_path).examples()]
    made = divide(rows, Store.open(CONFIG, tmp_path).task, Plan(0.2, 0.2))
    write_split(made.parts, made.task.names, tmp_path)
    data = load(CONFIG, "cpu", lists=tmp_path, folder=tmp_path)
    cfg = change(compose("baseline"), {"seeds": 1, "train.epochs": 18, "train.eval_every": 9})
    cfg.model = OmegaConf.load("conf/model/mlp.yaml")
    run = SimpleNamespace(lane=lambda *args, **more: None, checkpoints=None, say=lambda text: None)
    baselines = train_baselines(cfg, data, run)
    assert [baseline.name for baseline in baselines] == [
        "constant",
        "logistic regression",
        "gradient boosting",
        "linear",
        "mlp",
    ]  # a convnet needs neighbouring pixels
    assert baselines[-1].score()["val_accuracy"] > 0.9 > baselines[0].score()["val_accuracy"] + 0.2


def test_images_are_standardised_by_the_training_pixels_of_each_channel(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 3), dtype=np.uint8)
    prepare(Set([(image, n % 2) for n, image in enumerate(images)]), CONFIG, tmp_path)
    lists_of(tmp_path, train=range(6), val=[6, 7], test=[8])
    data = load(CONFIG, "cpu", lists=tmp_path, folder=tmp_path)
    assert data.train.x.mean((0, 2, 3)).abs().max() < 1e-6
    back = data.pictures(data.val.x) * 255
    assert np.allclose(back.permute(0, 2, 3, 1).numpy(), images[6:8], atol=1e-3)


def test_the_words_of_texts_are_those_of_train_and_in_a_fold_of_its_own_training_part(tmp_path):
    source = Set([("cat cat", 0), ("cat dog", 1), ("dog bird", 0), ("bird newt", 1)])
    source.kind = "text"
    prepare(source, CONFIG, tmp_path)
    lists_of(tmp_path, train=[0, 1], val=[2], test=[3])
    write_csv(tmp_path / "folds.csv", [{"id": f"i{r}", "fold": fold} for r, fold in ((0, 1), (1, 1), (2, 0))])
    data = load(CONFIG, "cpu", lists=tmp_path, folder=tmp_path, folds=True, tokenizer=Words(least=1))
    assert [fold.tokenizer.words for fold in data.folds] == [("cat", "dog"), ("bird", "dog")]
    assert data.val.x.tolist() == [[3, UNKNOWN]]
    test = read_test(data, CONFIG, "cpu", lists=tmp_path, folder=tmp_path)
    assert [fold.x.tolist() for fold in test.folds] == [[[UNKNOWN, UNKNOWN]], [[2, UNKNOWN]]]
