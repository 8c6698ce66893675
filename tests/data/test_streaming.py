"""Splits that stay on disk: the same bits as in memory, whatever the number of readers; little memory; clear errors."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from recipe import rng
from recipe.data import streaming
from recipe.data.batches import Split, batches, load, read_test
from recipe.data.streaming import InputsFile, StreamedInputs, mean_and_std, read_ahead
from recipe.errors import RecipeError
from recipe.files import write_csv
from recipe.tasks.classification import Classification
from recipe.train import engine, loop
from recipe.train.augment import Affine, Compose, Flip
from recipe.train.lane import Lane

CONFIG = {"_target_": "somewhere.Set"}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KINDS = {
    "bytes": lambda r: r.integers(0, 256, (260, 3, 6, 6), dtype=np.uint8),
    "floats": lambda r: r.normal(3, 2, (260, 1, 6, 6)).astype(np.float32),
    "features": lambda r: np.where(r.random((260, 5)) < 0.1, np.nan, r.normal(1e4, 3, (260, 5))).astype(np.float32),
}


def written(folder: Path, inputs: np.ndarray) -> Path:
    """A store of these inputs, 150 of which train and 60 validate, 50 test."""
    np.save(folder / "inputs.npy", inputs)
    facts = {
        "data": CONFIG,
        "task": Classification(("a", "b", "c")).facts(),
        "fingerprint": "0",
        "columns": [],
        "window": None,
    }
    kind = {"kind": "features" if inputs.ndim == 2 else "image"}
    (folder / "store.json").write_text(json.dumps(facts | kind))
    order = np.random.default_rng(1).permutation(260).tolist()
    for name, rows in (("train", order[:150]), ("val", order[150:210]), ("test", order[210:])):
        write_csv(folder / f"{name}.csv", [{"id": f"i{r}", "row": r, "label": r % 3} for r in rows])
    write_csv(folder / "classes.csv", [{"label": n, "class": name} for n, name in enumerate("abc")])
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    return written(tmp_path, KINDS["bytes"](np.random.default_rng(0)))


def opened(folder, device="cpu", **more):
    return load(CONFIG, device, lists=folder, folder=folder, **more)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


# ---- values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_streams_has_the_bits_of_what_is_in_memory(kind, device, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "CHUNK", 1000)  # several chunks
    written(tmp_path, KINDS[kind](np.random.default_rng(0)))
    whole, disk = opened(tmp_path, device), opened(tmp_path, device, memory=0, workers=2)
    tests = [
        read_test(d, CONFIG, device, lists=tmp_path, folder=tmp_path, **more)
        for d, more in ((whole, {}), (disk, {"memory": 0, "workers": 2}))
    ]
    for parts in (whole.train, disk.train), (whole.val, disk.val), tests:
        x, rows = (part.x for part in parts)
        assert isinstance(x, torch.Tensor)
        assert isinstance(rows, StreamedInputs)
        assert (rows.shape, rows.ndim, rows.device, rows.dtype, len(rows)) == (
            x.shape, x.ndim, x.device, x.dtype, len(x),
        )  # fmt: skip
        assert torch.cat(list(rows.split(17))).equal(x)
        some = torch.tensor([5, 3, 3, 40, 0])
        for which in (slice(7), slice(3, 9), [4, 2, 2], some, some.to(device), 6, -1):
            assert rows[which].equal(x[which])
        assert rows[6].is_contiguous()
        assert not x.isnan().any()
    index = torch.randint(150, (9, 20), generator=torch.Generator().manual_seed(0))
    for one, other in zip(batches(whole.train, index), batches(disk.train, index), strict=True):
        assert all(a.equal(b) and a.device == b.device for a, b in zip(one, other, strict=True))
    assert disk.mean.equal(whole.mean)
    assert disk.std.equal(whole.std)


def test_a_data_set_of_it_serves_as_one_in_memory(folder):
    whole, disk = (opened(folder, memory=m).val for m in (1, 0))
    loaders = [DataLoader(TensorDataset(part.x, part.y), batch_size=7) for part in (whole, disk)]
    for one, other in zip(*loaders, strict=True):
        assert all(a.equal(b) for a, b in zip(one, other, strict=True))
    assert TensorDataset(disk.x, disk.y).tensors[0][[1, 5]].equal(whole.x[[1, 5]])


@given(st.integers(0, 2**32), st.sampled_from([2, 7, 1000]), st.floats(0.1, 100), st.booleans())
@settings(max_examples=30, deadline=None)
def test_one_pass_gives_mean_and_deviation(tmp_path_factory, seed, chunk, mean, features):
    draw = np.random.default_rng(seed)
    inputs = draw.normal(mean, 1, (40, 3) if features else (40, 3, 2, 2)).astype(np.float32)
    np.save(path := tmp_path_factory.mktemp("m") / "inputs.npy", inputs)
    rows = draw.permutation(40)[:30]
    if features:
        inputs[draw.random(inputs.shape) < 0.2] = np.nan
        np.save(path, inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "CHUNK", chunk * 3)
        result = mean_and_std(InputsFile(np.load(path, mmap_mode="r")), rows, features, 2)
    axes = 0 if features else (0, 2, 3)
    expected = [f(inputs[rows].astype(float), axes) for f in (np.nanmean, lambda x, a: np.nanstd(x, a, ddof=1))]
    for a, b in zip(result, expected, strict=True):
        assert np.allclose(a.numpy(), b, rtol=1e-9, atol=1e-12)


def test_mean_and_deviation_are_those_of_the_training_pixels(folder):
    data = opened(folder, memory=0)
    rows = [int(name[1:]) for name in data.train.ids]
    x = torch.from_numpy(np.load(folder / "inputs.npy")[rows]).float() / 255
    assert torch.allclose(data.mean[:, 0, 0], x.mean((0, 2, 3)), rtol=0, atol=1e-6)
    assert torch.allclose(data.std[:, 0, 0], x.std((0, 2, 3)), rtol=0, atol=1e-6)


# ---- training ------------------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 3))

    def forward(self, x):
        return self.body(x)


def lane(seed: int, device="cpu", augment=None, steps=90, **more) -> Lane:
    with rng.seeded(seed, "init"):
        model = Net().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return Lane(model, optimizer, nn.CrossEntropyLoss(), steps, 16, seed, augment=augment, **more)


def lanes(device="cpu") -> list[Lane]:
    views = Compose([Affine(5.0, 0.1, 0.1), Flip(0.5)])
    return [lane(seed // 2, device, views, steps=45, mixup=0.2, share=1 - 0.3 * (seed % 2)) for seed in range(4)]


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", ["plain", "batched"])
def test_a_streamed_training_has_the_bits_of_one_in_memory(mode, device, folder):
    def run(**more):
        data, said = opened(folder, device, **more), []
        result = engine.train(lanes(device), data.train, data.val, eval_every=20, mode=mode, say=said.append)
        assert ("together" in said[0]) == (mode == "batched")
        return result

    expected = run()
    assert len({t.curve[-1]["train_loss"] for t in expected}) == 4
    for workers in (0, 1, 2):
        for one, other in zip(expected, run(memory=0, workers=workers), strict=True):
            assert one.curve == other.curve
            assert all(t.equal(other.last[n]) for n, t in one.last.items())
            assert all(t.equal(other.best[n]) for n, t in one.best.items())


@dataclass(frozen=True)
class Noted:
    """Changes nothing, and keeps what was drawn for each image."""

    strength: float = 1.0
    draws: ClassVar[int] = 2
    seen: ClassVar[list] = []

    def on_batch(self, x, u):
        self.seen.append(u.T.clone())
        return x


def test_no_random_number_comes_twice(folder):
    drawn = {}
    for workers in (0, 1, 2):
        Noted.seen.clear()
        part = opened(folder, memory=0, workers=workers).train
        for at in (0, 30):  # two evaluation intervals: the readers start anew
            assert len(list(loop.fit(lane(0, augment=Noted()), part, at, at + 30))) == 30
        drawn[workers] = torch.cat(Noted.seen)
    assert len(drawn[0]) == 60 * 16 > 6 * len(part)  # passes over the data
    assert len(drawn[0].unique(dim=0)) == len(drawn[0])
    assert drawn[0].equal(drawn[1])
    assert drawn[0].equal(drawn[2])


# ---- memory --------------------------------------------------------------------------------------------------


def test_the_largest_split_streams_and_is_named(folder):
    said, size = [], 4 * 3 * 6 * 6 / 2**30
    data = opened(folder, memory=115 * size, workers=2, say=said.append)
    assert isinstance(data.train.x, StreamedInputs)
    assert isinstance(data.val.x, torch.Tensor)
    (text,) = said
    assert text.startswith("train (6.03e-05) streamed from disk, 2 threads")
    assert "conf/runtime/local.yaml" in text
    assert "val (" not in text
    opened(folder, memory=210 * size, say=said.append)
    assert len(said) == 1
    # the test part gets what the others leave, the validation part here
    more = {"lists": folder, "folder": folder, "say": said.append}
    assert isinstance(read_test(data, CONFIG, "cpu", memory=111 * size, **more).x, torch.Tensor)
    assert isinstance(read_test(data, CONFIG, "cpu", memory=109 * size, **more).x, StreamedInputs)
    assert said[-1].startswith("test (")


CHILD = """
import torch
from recipe.data.batches import load
from recipe.train import loop
def now():
    # without pages of files, which the kernel keeps as long as nobody needs the memory, and so at its own whim
    return int(next(l.split()[1] for l in open("/proc/self/status") if l.startswith("RssAnon"))) / 1024
torch.zeros(1) @ torch.zeros(1)
before = now()
data = load({"_target_": "somewhere.Set"}, "cpu", lists=FOLDER, folder=FOLDER, memory=0.01, workers=2)
after, most = now(), 0.0
for x in data.train.x.split(4):
    assert x.isfinite().all()
    most = max(most, now())
print(after - before, most - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_streamed_file_of_500_megabytes_takes_little_memory(tmp_path):
    written(tmp_path, np.zeros((260, 1, 1, 1), np.uint8))
    shape = (260, 3, 800, 800)  # 499 MB
    images = np.lib.format.open_memmap(tmp_path / "inputs.npy", "w+", np.uint8, shape)
    images[::7, :, 5] = 200
    del images
    folder = f"from pathlib import Path\nFOLDER = Path({str(tmp_path)!r})\n"
    done = subprocess.run([sys.executable, "-c", folder + CHILD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loading, reading = map(float, done.stdout.split())
    assert loading < 200  # what it imports is a good part of that
    assert reading < 250


# ---- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("what", ["cut", "changed", "gone"])
def test_a_file_that_has_changed_is_reported(what, workers, folder):
    part, path = opened(folder, memory=0, workers=workers).train, folder / "inputs.npy"
    if what == "cut":
        os.truncate(path, path.stat().st_size - 5000)
    elif what == "changed":
        os.utime(path, (1, 1))
    else:
        path.unlink()
    message = r"inputs\.npy can no longer be read" if what == "gone" else r"inputs\.npy changed or was truncated"
    for use in (
        lambda: part.x[:3],
        lambda: list(part.x.split(10)),
        lambda: list(loop.fit(lane(0), part, 0, 10)),
        lambda: loop.outputs(Net(), part.x),
    ):
        with pytest.raises(RecipeError, match=message):
            use()


def test_a_file_truncated_after_it_was_checked_is_reported_too(folder, monkeypatch):
    part = opened(folder, memory=0).train
    stamp = streaming._stamp

    def truncate_after_the_check(stat):
        os.truncate(part.x.file.path, 128)
        return stamp(stat)

    monkeypatch.setattr(streaming, "_stamp", truncate_after_the_check)
    with pytest.raises(RecipeError, match="was truncated"):
        part.x[:3]


def test_a_row_that_the_store_lacks_is_reported(folder):
    write_csv(folder / "val.csv", [{"id": "x", "row": 260, "label": 0}])
    with pytest.raises(RecipeError, match=r"val\.csv lists row 260, .*inputs\.npy has 260"):
        opened(folder)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_what_is_read_ahead_comes_in_order_and_is_bounded(workers):
    begun = []

    def read(job):
        begun.append(job)
        return job

    results = []
    for job in read_ahead(read, range(50), workers):
        results.append(job)
        assert len(begun) <= job + 1 + workers
    assert results == list(range(50))


def test_an_error_of_the_training_ends_the_readers(folder):
    part = opened(folder, memory=0, workers=2).train

    def step(*_):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        list(loop.fit(lane(0, step=step), part, 0, 50))
    left = iter(part.x.split(4))
    next(left)
    del left


def test_no_rows_are_an_empty_batch(folder):
    """As where a network predicts nothing wrongly, and there is no picture to draw."""
    x = opened(folder, memory=0).train.x
    assert x[torch.zeros(0, dtype=torch.long)].shape == (0, *x.shape[1:])


def test_a_part_in_memory_needs_no_file():
    part = Split(torch.arange(6.0)[:, None], torch.arange(6), [])
    (x, y), _ = batches(part, torch.tensor([[4, 1], [0, 0]]))
    assert x.flatten().tolist() == y.tolist() == [4, 1]
