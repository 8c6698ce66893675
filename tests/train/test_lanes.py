"""Many lanes at once: equal to the plain loop, each lane independent of the others, the plain loop where it must be."""

import math

import pytest
import torch
from lanes import MODELS, Residual, lane, parts
from torch import nn
from torch.nn import functional as F

from recipe import rng
from recipe.data.batches import Split
from recipe.metrics.classification import ACCURACY
from recipe.metrics.objective import HALVES, Objective
from recipe.models.plain import mlp
from recipe.models.resnet import resnet18
from recipe.train import engine, layers, plan
from recipe.train.augment import Affine, Compose, Flip
from recipe.train.lane import Lane
from recipe.train.lanes import Lanes
from recipe.train.schedules import CONSTANT, Cooldown, Cosine, OneCycle

SCHEDULES = CONSTANT, Cooldown(0.3), Cosine(warmup=0.1), OneCycle()
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def train(lanes, mode="auto", dtype=torch.float32, eval_every=25, **more):
    device = next(lanes[0].model.parameters()).device
    return engine.train(lanes, *parts(device, dtype), eval_every=eval_every, mode=mode, **more)


def dropout_off(model):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def varied(make, dtype, device="cpu"):
    """Lanes that differ in everything that a batch holds per lane."""
    kinds = [(torch.optim.AdamW, {"betas": (0.8 + 0.03 * s, 0.99), "weight_decay": 0.1 * s}) for s in range(4)]
    return [
        lane(make, s, device=device, dtype=dtype, optimizer=kind, options={"lr": 5e-4 * (s + 1), **options},
             smoothing=0.05 * s, mixup=0.2 * (s % 2), steps=90 + 5 * s, share=1 - 0.2 * s, schedule=SCHEDULES[s],
             augment=Compose([Affine(2.0 * s + 1, 0.0625, 0.25), Flip(0.125 * s)]))
        for s, (kind, options) in enumerate(kinds)
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", MODELS)
def test_lanes_are_the_plain_loop(name, dtype, bound, device):
    said = []
    alone = train(varied(MODELS[name], dtype, device), "plain", dtype)
    together = train(varied(MODELS[name], dtype, device), "batched", dtype, say=said.append)
    assert said == ["4 lanes together"]
    for a, b in zip(alone, together, strict=True):
        assert [r["step"] for r in a.curve] == [r["step"] for r in b.curve]
        losses = [[r[k] for r in t.curve for k in ("train_loss", "val_loss")] for t in (a, b)]
        assert losses[0] == pytest.approx(losses[1], rel=0, abs=bound)
        assert a.best_row == b.best_row
        for mine, other in ((a.last, b.last), (a.best, b.best)):
            assert list(mine) == list(other)
            assert all(torch.allclose(mine[n], other[n], rtol=0, atol=10 * bound) for n in mine)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.AdamW, {"weight_decay": 0.3, "eps": 1e-4}),
        (torch.optim.Adam, {"weight_decay": 0.3, "betas": (0.5, 0.9)}),
        (torch.optim.SGD, {"lr": 0.05}),
        (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        (torch.optim.SGD, {"lr": 0.05, "momentum": 0.8, "dampening": 0.2}),
    ],
)
def test_the_optimizers_are_those_of_torch(kind, options):
    def lanes():
        rates = [{**options, "lr": options.get("lr", 1e-3) * (1 + s)} for s in range(3)]
        return [lane(seed=s, dtype=torch.float64, optimizer=kind, options=r) for s, r in enumerate(rates)]

    for a, b in zip(train(lanes(), "plain", torch.float64), train(lanes(), "batched", torch.float64), strict=True):
        assert all(torch.allclose(a.last[n], b.last[n], rtol=0, atol=1e-12) for n in a.last)


@pytest.mark.slow
def test_a_shortcut_may_be_a_1x1_convolution():
    """In float64: over 20 layers with batch norm, rounding in float32 grows beyond the bound of the models above."""

    def lanes():
        return [lane(lambda k: resnet18(k, width=2), s, steps=20, dtype=torch.float64) for s in range(2)]

    said = []
    together = train(lanes(), "batched", torch.float64, say=said.append)
    assert said == ["2 lanes together"]
    for a, b in zip(train(lanes(), "plain", torch.float64), together, strict=True):
        assert all(torch.allclose(a.last[n], b.last[n], rtol=0, atol=1e-12) for n in a.last)


@pytest.mark.parametrize("mode", ["plain", "batched"])
@pytest.mark.parametrize("more", [{}, {"smoothing": 0.1}, {"mixup": 0.4}])
def test_targets_may_be_probabilities(mode, more):
    hard, val = parts("cpu", torch.float64)
    certain = Split(hard.x, F.one_hot(hard.y, 10).double(), [])
    # equal to classes where the probabilities are 0 and 1
    first, second = (
        engine.train([lane(seed=s, dtype=torch.float64, **more) for s in (0, 1)], part, val, eval_every=50, mode=mode)
        for part in (hard, certain)
    )
    for a, b in zip(first, second, strict=True):
        for mine, other in zip(a.curve, b.curve, strict=True):
            assert mine == pytest.approx(other, abs=1e-12)
    # and to the loop that anyone would write where they are not
    soft = Split(hard.x, torch.rand(200, 10, generator=torch.Generator().manual_seed(0)).double().softmax(1), [])
    a, b = (lane(seed=s, steps=1, batch_size=200, dtype=torch.float64) for s in (0, 0))
    a.loss = b.loss = nn.CrossEntropyLoss(label_smoothing=more.get("smoothing", 0.0))
    both = [a, lane(seed=1, steps=1, batch_size=200, dtype=torch.float64)]
    for made in (a, b, both[1]):
        dropout_off(made.model)
    before = F.cross_entropy(b.model(soft.x), soft.y).item()
    result = engine.train(both if mode == "batched" else [a], soft, val, eval_every=1, mode=mode)[0]
    assert result.curve[0]["train_loss"] == pytest.approx(before, abs=1e-12)  # judged without label smoothing
    b.loss(b.model(soft.x), soft.y).backward()
    b.optimizer.step()
    assert all(torch.allclose(t, result.last[n], rtol=0, atol=1e-12) for n, t in b.model.state_dict().items())


@pytest.mark.parametrize("name", ["linear", "mlp", "convnet", "batch norm"])
def test_a_lane_has_the_same_bits_alone_and_among_others(name):
    def some(seeds, steps=60):
        made = [lane(MODELS[name], s, steps=steps - 20 * (s == 3), options={"lr": 1e-3 * (1 + s)}) for s in seeds]
        return dict(zip(seeds, train(made, "batched"), strict=True))

    everyone = some([0, 1, 2, 3, 4])
    for seeds in ([2], [4, 2], [3, 2, 0]):
        few = some(seeds)
        assert few[2].curve == everyone[2].curve
        assert all(t.equal(everyone[2].last[n]) for n, t in few[2].last.items())


@pytest.mark.parametrize(("seeds", "drawn"), [((0, 0, 0), {1}), ((0, 1, 0), {2, 1}), ((2, 1, 0), {3, 2})])
def test_lanes_of_one_seed_draw_their_dropout_once(monkeypatch, seeds, drawn):
    """Each keeps as much as its own rate says, as by the plain loop, also when another lane has left."""
    keys, draw = [], layers.draw

    def seen(key, *args):
        keys.append(len(key))
        return draw(key, *args)

    def made():
        of = zip(seeds, (0.1, 0.3, 0.5), (60, 35, 60), strict=True)
        return [lane(lambda k, p=p: mlp(k, width=24, dropout=p), s, dtype=torch.float64, steps=n) for s, p, n in of]

    monkeypatch.setattr(layers, "draw", seen)
    alone, together = (train(made(), mode, torch.float64) for mode in ("plain", "batched"))
    assert set(keys) == drawn
    for a, b in zip(alone, together, strict=True):
        assert all(torch.allclose(a.last[n], b.last[n], rtol=0, atol=1e-12) for n in a.last)
    assert not torch.equal(together[0].last["1.weight"], together[2].last["1.weight"])


def test_a_lane_that_is_lost_changes_no_other():
    def some(rate):
        return train([lane(seed=0), lane(seed=1, options={"lr": rate}), lane(seed=2)], "batched")

    good, bad = some(1e-3), some(math.inf)
    assert bad[1].lost
    assert bad[1].ended == "the training loss is nan by step 25"
    assert not bad[0].lost
    for i in (0, 2):
        assert good[i].curve == bad[i].curve
        assert all(t.equal(bad[i].last[n]) for n, t in good[i].last.items())


def test_lanes_that_are_over_leave_the_batch(monkeypatch):
    sizes = []
    step = Lanes._step
    monkeypatch.setattr(Lanes, "_step", lambda self, *given: (sizes.append(len(self.flat)), step(self, *given))[1])
    train([lane(seed=s, steps=n) for s, n in enumerate((30, 60, 90))], "batched")
    assert sizes == [3] * 30 + [2] * 30 + [1] * 30


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["plain", "batched"])
def test_a_lane_stops_when_val_gets_no_better(mode):
    patient, endless = (lane(seed=1, steps=600, patience=p, options={"lr": 0.02}) for p in (3, None))
    stopped, whole = train([patient, endless], mode)
    lowest = min(range(1, len(stopped.curve)), key=lambda i: stopped.curve[i]["val_loss"])
    assert stopped.best_row == lowest == len(stopped.curve) - 4
    assert "3 evaluations without a lower validation loss" in stopped.ended
    assert len(whole.curve) == 25


@pytest.mark.parametrize("mode", ["plain", "batched"])
def test_a_lane_stops_when_enough_is_learned(mode):
    for result in train([lane(seed=s, steps=1000, enough=0.3, options={"lr": 0.01}) for s in (0, 1)], mode):
        assert result.curve[-1]["train_loss"] < 0.3 <= result.curve[-2]["train_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["plain", "batched"])
@pytest.mark.parametrize("name", ["mlp", "convnet", "residual, by vmap"])
def test_half_precision_learns_the_same_to_its_precision(mode, name):
    def some(precision):
        return train([lane(MODELS[name], s, precision=precision) for s in (0, 1)], mode)

    for exact, half in zip(some("float32"), some("bfloat16"), strict=True):
        assert exact.curve[-1]["val_loss"] == pytest.approx(half.curve[-1]["val_loss"], rel=0.05)
        assert exact.curve[-1] != half.curve[-1]
        assert all(t.dtype == exact.last[n].dtype for n, t in half.last.items())


def test_the_model_is_left_with_its_last_weights():
    lanes = [lane(seed=s, steps=30) for s in (0, 1)]
    for mine, result in zip(lanes, train(lanes, "batched"), strict=True):
        assert all(t.equal(result.last[n]) for n, t in mine.model.state_dict().items())


class Attention(nn.Module):
    """Of tokens (B, L), 0 for padding: vectors, one layer of attention, the mean."""

    def __init__(self, k):
        super().__init__()
        self.vectors, self.norm = nn.Embedding(20, 16, padding_idx=0), nn.LayerNorm(16)
        self.attention, self.out = nn.MultiheadAttention(16, 2, batch_first=True), nn.Linear(16, k)

    def forward(self, x):
        padding, vectors = x == 0, self.vectors(x)
        query = self.norm(vectors)
        vectors = vectors + self.attention(query, query, query, key_padding_mask=padding, need_weights=False)[0]
        present = (~padding).unsqueeze(2)
        return self.out((vectors * present).sum(1) / present.sum(1))


def test_attention_over_padded_tokens_is_batched():
    """torch's fused kernels have no form over lanes."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(1, 20, (120, 9), generator=draw)
    x[:, 6:] *= torch.rand(120, 3, generator=draw) < 0.5
    whole = [Split(x[a:b], x[a:b, 0] % 3, [str(i) for i in range(a, b)]) for a, b in ((0, 80), (80, 120))]

    def some():
        with rng.seeded(0, "init"):
            models = [Attention(3), Attention(3)]
        optimizers = [torch.optim.Adam(model.parameters(), lr) for model, lr in zip(models, (1e-2, 3e-3), strict=True)]
        pairs = enumerate(zip(models, optimizers, strict=True))
        return [Lane(model, optimizer, nn.CrossEntropyLoss(), 30, 16, s) for s, (model, optimizer) in pairs]

    said = []
    together = engine.train(some(), *whole, eval_every=10, mode="batched", say=said.append)
    assert said == ["2 lanes together"]
    for a, b in zip(engine.train(some(), *whole, eval_every=10, mode="plain"), together, strict=True):
        assert [r["val_loss"] for r in a.curve] == pytest.approx([r["val_loss"] for r in b.curve], abs=1e-5)
    assert torch.backends.mha.get_fastpath_enabled()


# ---- which lanes go together ---------------------------------------------------------------------------------------


class Counting(nn.Module):
    """Branches on its data."""

    def __init__(self, k):
        super().__init__()
        self.layer = nn.Linear(64, k)

    def forward(self, x):
        out = self.layer(x.flatten(1))
        return out if float(out.sum()) > 0 else 2 * out


class OwnChance(nn.Module):
    """Draws from the global generator."""

    def __init__(self, k):
        super().__init__()
        self.layer = nn.Linear(64, k)

    def forward(self, x):
        return F.dropout(self.layer(x.flatten(1)), 0.2, self.training)


class Unused(OwnChance):
    def __init__(self, k):
        super().__init__(k)
        self.idle = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(x.flatten(1))


def own_step(model, optimizer, x, y, loss_fn):
    optimizer.zero_grad()
    loss = loss_fn(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


@pytest.mark.parametrize(
    ("parts_of_it", "reason"),
    [
        ({"make": Counting}, "vmap: "),
        ({"make": OwnChance}, "vmap: "),
        ({"make": Unused}, "a weight gets no gradient"),
        ({"step": own_step}, "a user-defined training step"),
        ({"augment": lambda image: image}, "an augmentation that takes one image at a time"),
        ({"optimizer": torch.optim.RMSprop}, "RMSprop is not among Adam, AdamW, SGD"),
        ({"options": {"amsgrad": True}}, "its optimizer has amsgrad"),
        ({"loss": lambda out, y: F.cross_entropy(out, y) * float(out.max() > -99)}, "vmap: "),
    ],
)
def test_what_cannot_be_batched_is_trained_by_the_plain_loop(parts_of_it, reason):
    def some():
        return [lane(seed=s, steps=30, **parts_of_it) for s in (0, 1)]

    said = []
    for a, b in zip(train(some(), "batched", say=said.append), train(some(), "plain"), strict=True):
        assert a.curve == b.curve
    assert len(said) == 1
    assert said[0].startswith(f"2 lanes one after the other: {reason}")


def groups(lanes, mode="auto"):
    return [(g.numbers, g.plain) for g in plan.plan(lanes, parts()[0], mode)]


def test_a_number_that_a_model_keeps_sets_it_apart():
    lanes = [lane(lambda k, scale=scale: Residual(k, scale=scale), seed=s) for s, scale in enumerate((1.0, 0.5, 1.0))]
    assert groups(lanes) == [([0, 2], ""), ([1], "alone in its architecture")]


def test_widths_batch_sizes_and_optimizers_set_lanes_apart():
    made = [lane(), lane(batch_size=16), lane(optimizer=torch.optim.SGD), lane(MODELS["linear"]), lane(seed=5)]
    assert [g for g, _ in groups(made)] == [[0, 4], [1], [2], [3]]


def test_large_convolutions_belong_to_the_plain_loop_on_a_cpu():
    def wide(k):
        return nn.Sequential(
            nn.Conv2d(1, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1), nn.Flatten(), nn.Linear(4096, k)
        )

    ((numbers, reason),) = groups([lane(wide, s) for s in (0, 1)])
    assert numbers == [0, 1]
    assert reason == "convolutions of 77 million multiplications a step gain nothing together on a CPU"
    assert groups([lane(wide, s) for s in (0, 1)], "batched") == [([0, 1], "")]


def test_a_batch_is_no_larger_than_the_memory(monkeypatch):
    lanes = [lane(seed=s) for s in range(7)]
    monkeypatch.setattr(plan, "MEMORY", 3 * plan.profile(lanes[0], parts()[0])[1])
    assert [g for g, _ in groups(lanes)] == [[0, 1], [2, 3], [4, 5, 6]]
    whole = train([lane(seed=s, steps=30) for s in range(7)], "batched")
    monkeypatch.undo()
    assert [r.curve for r in whole] == [r.curve for r in train([lane(seed=s, steps=30) for s in range(7)], "batched")]


def test_wrong_answers_over_lanes_are_noticed(monkeypatch):
    """A planted bug in a layer over lanes: the batch is refused before a step is made."""
    wrong = [(types, known, (lambda m, x, w, b: torch.bmm(w, x)) if layer is layers._linear else layer, names)
             for types, known, layer, names in layers.LAYERS]  # fmt: skip
    monkeypatch.setattr(layers, "LAYERS", wrong)
    said = []
    train([lane(seed=s, steps=30) for s in (0, 1)], "batched", say=said.append)
    assert said == ["2 lanes one after the other: its outputs differ when lanes are computed together"]


@pytest.mark.slow
def test_a_lane_that_is_judged_by_a_metric_keeps_the_weights_with_the_best_one():
    """The loss of a training at a high rate rises long before its accuracy falls."""
    judged = {"objective": Objective(ACCURACY)}
    made = [[lane(seed=s, steps=600, options={"lr": 0.02}) for s in range(3)] for _ in range(3)]
    by_loss, alone, together = (
        train(lanes, mode, **more)
        for lanes, (mode, more) in zip(made, (("batched", {}), ("plain", judged), ("batched", judged)), strict=True)
    )
    for a, b in zip(alone, together, strict=True):
        accuracy = [row["val_accuracy"] for row in b.curve]
        assert a.best_row == b.best_row == accuracy.index(max(accuracy[1:]), 1)
        assert all(torch.allclose(a.best[n], b.best[n], atol=1e-4) for n in a.best)
        halves = [b.curve[-1][f"val_accuracy{half}"] for half in HALVES]
        assert sum(halves) / 2 == pytest.approx(accuracy[-1], abs=1e-6)
    assert [t.best_row for t in by_loss] != [t.best_row for t in together]
    assert [t.curve[-1]["val_loss"] for t in by_loss] == [t.curve[-1]["val_loss"] for t in together]


@pytest.mark.slow
def test_patience_waits_for_the_metric_that_trainings_are_judged_by():
    (stopped,) = train([lane(steps=600, patience=4, options={"lr": 0.02})], objective=Objective(ACCURACY))
    assert stopped.best_row == len(stopped.curve) - 5
    assert "4 evaluations without a higher validation accuracy" in stopped.ended
