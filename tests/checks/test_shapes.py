"""Trainings of other shapes than a pair of tensors: each runs, closes no gate, and the planted bug closes its own."""

import pytest
import torch
from checks.shapes import SHAPES, Rows, adam, digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from recipe import RecipeError, Setup, examine
from recipe.checks import preparation

LONG = {"gradients_are_fresh", "outputs_are_not_squashed", "loss_wants_the_targets"}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_a_healthy_training_of_another_shape_closes_no_gate(name):
    report = examine(SHAPES[name].setup(0, False))
    assert report.failed == [], str(report)
    assert sum(v.verdict == "pass" for v in report.verdicts) > 15


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if s.gate in LONG else n for n, s in SHAPES.items()]
)
def test_a_bug_in_a_training_of_another_shape_closes_its_gate(name):
    shape = SHAPES[name]
    healthy, broken = (examine(shape.setup(0, bug), only=(shape.gate,))[shape.gate] for bug in (False, True))
    assert healthy.verdict == "pass", healthy
    assert broken.closes
    assert shape.hint in broken.hint


# ---- what is read from a batch -----------------------------------------------------------------------------------


def net():
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def on(train, **changes):
    options = {"model": net, "loss": nn.CrossEntropyLoss(), "optimizer": adam(1e-2), "train": train, "val": train}
    return Setup(**(options | changes))


def images():
    x, y = digits()
    return x[:64], y[:64]


def test_the_index_of_an_example_is_no_target():
    x, y = images()
    s = on(TensorDataset(x, y, torch.arange(64)))
    assert s.form.pair
    assert s.train_tensors[1].equal(y)
    assert len(s.train_for(2)[1]) == 2


def test_a_batch_keeps_its_form_on_the_way_to_the_users_code():
    setup = SHAPES["mapping_of_inputs"].setup(0, False)
    x, y = setup.batch(5)
    (batch,) = setup.loader_of(x, y, 5)
    assert list(batch) == ["input_ids", "attention_mask", "labels"]
    assert batch["labels"].equal(y)
    for blind in (False, True):
        batch = next(iter(setup.loader(setup.training_set(zeros=blind))))
        assert list(batch) == ["input_ids", "attention_mask", "labels"]
        assert bool(batch["input_ids"].any()) is not blind
        assert len(batch["labels"]) == 32


def test_parts_are_indexed_together_and_the_mask_is_not_what_checks_compute_with():
    setup = SHAPES["tokens_and_mask"].setup(0, False)
    x = setup.train_tensors[0]
    (ids, mask), few = x.given, x[torch.tensor([3, 1])]
    assert x.main is ids
    assert len(few) == 2
    assert few.given[0].equal(ids[[3, 1]])
    assert few.given[1].equal(mask[[3, 1]])


def test_lists_that_the_loader_makes_tensors_of_can_be_blinded():
    x, y = images()
    rows = [(row.tolist(), int(label)) for row, label in zip(x, y, strict=True)]
    s = on(rows, collate=lambda rows: (torch.tensor([r[0] for r in rows]), torch.tensor([r[1] for r in rows])))
    inputs, labels = next(iter(s.loader(s.training_set(zeros=True), shuffle=False)))
    assert not inputs.any()
    assert labels.equal(y[: len(labels)])


def test_mappings_of_which_the_loader_makes_pairs_are_trained_on():
    x, y = images()
    rows = Rows(lambda x, y: {"image": x, "digit": y}, x, y)
    s = on(
        rows, collate=lambda rows: (torch.stack([r["image"] for r in rows]), torch.stack([r["digit"] for r in rows]))
    )
    only = ("targets_stay", "val_is_not_augmented", "the_optimizer_steps", "beats_a_blind_model")
    assert {v.check: v.verdict for v in examine(s, only=only).verdicts if v.broken} == {}


def test_what_the_user_says_of_a_batch_counts():
    x, y = images()
    rows = Rows(lambda x, y: {"image": x, "digit": y}, x, y)
    with pytest.raises(RecipeError, match=r"a batch has image, digit, and none of them is called labels, .*unpack="):
        examine(on(rows), only=("inputs_are_finite",))
    for unpack in ("digit", lambda batch: (batch["image"], batch["digit"])):
        s = on(rows, unpack=unpack)
        assert s.train_tensors[1].equal(y)
        assert examine(s, only=("inputs_are_finite", "the_optimizer_steps", "steps_follow_the_gradient")).failed == []


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x):
        return {"coarse": 0 * self.net(x), "scores": self.net(x)}


def test_the_output_that_is_meant_can_be_named():
    s = on(TensorDataset(*images()), model=Twice, output="scores")
    x, _ = s.batch(4)
    model = s.new_model()
    assert s.forward(model, x).equal(model(x)["scores"])
    assert on(TensorDataset(*images()), model=Twice, output=lambda out: out["scores"]).kind == "classification"


def test_where_time_and_classes_are_as_many_the_loss_tells_which_is_which():
    x = torch.randn(40, 5, 7)
    y = torch.randint(0, 5, (40, 5))

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(7, 5)

        def forward(self, x):
            return self.head(x)

    def last(z, y):
        return F.cross_entropy(z.flatten(0, 1), y.flatten())

    assert not on(TensorDataset(x, y), model=Last, loss=last).output_form.classes_second
    assert on(TensorDataset(x, y), model=Last, loss=F.cross_entropy).output_form.classes_second


def test_a_loss_of_the_models_own_that_is_unusual_must_be_given():
    class Cubed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x, labels=None):
            logits = self.net(x)
            return {"loss": None if labels is None else F.cross_entropy(logits, labels) ** 3, "logits": logits}

    rows = Rows(lambda x, y: {"x": x, "labels": y}, *images())
    with pytest.raises(RecipeError, match=r"the model computes a loss that is none of cross-entropy, .*recipe.watch"):
        examine(on(rows, model=Cubed, loss=None), only=("inputs_are_finite",))


def test_what_cannot_be_handed_in_is_refused_with_the_way_out():
    x, y = images()
    with pytest.raises(RecipeError, match=r"cannot take inputs \(2, 64\) of torch.uint8.*recipe.watch"):
        examine(on(TensorDataset((x * 16).to(torch.uint8), y)), only=("inputs_are_finite",))

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(zip(x, y, strict=True))

    with pytest.raises(RecipeError, match=r"it is a Stream. .*recipe.watch"):
        on(DataLoader(Stream(), 8))
    boxes = [(image, {"boxes": [1, 2, 3][: 1 + i % 3]}) for i, image in enumerate(x)]
    with pytest.raises(RecipeError, match=r"recipe.watch"):
        examine(on(boxes), only=("inputs_are_finite",))


# ---- prepared in the step ------------------------------------------------------------------------------------------


def step_that_prepares(prepare):
    def step(model, optimizer, inputs, targets, loss):
        optimizer.zero_grad()
        value = loss(model(prepare(inputs)), targets)
        value.backward()
        optimizer.step()
        return value.detach()

    return step


def of_bytes(prepare, seed=0):
    """Digits as bytes, 0 to 240; the step prepares them, and so does the evaluation."""
    x, y = digits()
    x = (x * 240).to(torch.uint8)

    def evaluate(model, loader):
        model.eval()
        with torch.no_grad():
            return sum(int((model(prepare(a)).argmax(1) == b).sum()) for a, b in loader) / len(loader.dataset)

    return Setup(
        model=lambda: nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), loss=nn.CrossEntropyLoss(),
        optimizer=adam(3e-3), batch_size=32, seed=seed, train_step=step_that_prepares(prepare), evaluate=evaluate,
        train=TensorDataset(x[:480], y[:480]), val=TensorDataset(x[480:], y[480:]),
    )  # fmt: skip


@pytest.mark.slow
def test_bytes_that_the_step_prepares_are_examined_as_the_model_gets_them():
    report = examine(of_bytes(lambda x: x.float() / 255))
    assert report.failed == [], str(report)
    assert report["inputs_are_scaled"].verdict == "pass"


def test_a_step_that_forgets_to_scale_bytes_is_noticed():
    only = ("inputs_are_scaled", "evaluation_feeds_what_training_feeds")
    assert examine(of_bytes(lambda x: x.float() / 255), only=only).failed == []
    assert examine(of_bytes(lambda x: x.float()), only=only).failed == ["inputs_are_scaled"]


def test_channels_may_be_prepared_each_in_its_way_and_are_found_back():
    raw = torch.randint(0, 256, (6, 3, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]))
    entered = (raw.float() / 255 - mean) / std
    found = preparation.measured(raw, entered)
    torch.testing.assert_close(found.apply(raw), entered, rtol=1e-4, atol=1e-4)
    assert found.undo(entered).equal(raw)
    assert preparation.measured(raw, entered.flip(3)) is None


def test_float64_is_cast_where_the_model_does_not_take_it():
    x, y = images()
    s = on(TensorDataset(x.double(), y))
    assert s.train_tensors[0].dtype == torch.float32
    assert examine(s, only=("inputs_are_finite", "the_optimizer_steps")).failed == []
    assert on(TensorDataset(x.double(), y), model=lambda: net().double()).train_tensors[0].dtype == torch.float64
