"""`recipe.watch` around loops of many shapes: silent where they are healthy, and each planted bug closes its gate."""

import copy
import random
import threading
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from watching.programs import PROGRAMS, digits

import recipe
from recipe.watching.observed import RecipeWarning, evenly_spaced
from recipe.watching.structures import fingerprints, main_input, main_output, map_rows
from recipe.watching.watch import CHECKS


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_healthy_loop_closes_no_gate(name):
    watched = PROGRAMS[name].run(False)
    assert watched.report.failed == []
    assert watched.closed == {}
    assert not [v for v in watched.report.verdicts if v.verdict == "error"]
    assert not watched.observed.crash


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_planted_bug_closes_its_gate(name):
    program = PROGRAMS[name]
    watched = program.run(True)
    assert program.gate in watched.closed
    assert not [v for v in watched.report.verdicts if v.verdict == "error"]


def loop(model, optimizer, data, epochs=2):
    for _ in range(epochs):
        model.train()
        for a, b in data:
            optimizer.zero_grad()
            F.cross_entropy(model(a), b).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            [model(a) for a, _ in data]


def parts(seed=0):
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 10))
    return model, torch.optim.Adam(model.parameters(), 1e-3), DataLoader(TensorDataset(*digits()), 32, shuffle=True)


def test_a_watched_training_is_the_same_to_the_bit():
    states = []
    for watching in (False, True):
        model, optimizer, data = parts()
        if watching:
            with recipe.watch(model, optimizer, val=data, on="quiet"):
                loop(model, optimizer, data)
        else:
            loop(model, optimizer, data)
        draws = torch.rand(3), torch.tensor(random.random()), torch.tensor(np.random.random())
        states.append([*(t.clone() for t in model.state_dict().values()), *draws])
    assert all(a.equal(b) for a, b in zip(*states, strict=True))


def test_evaluations_are_counted_once():
    model, optimizer, data = parts()
    with recipe.watch(model, optimizer, val=data, on="quiet") as watched:
        loop(model, optimizer, data, 2)
    assert watched.observed.evaluated == [640, 640]
    assert watched.report["every_evaluation_reads_all_of_val"].verdict == "pass"


def test_nothing_stays_behind():
    before = torch.autograd.backward
    model, optimizer, data = parts()
    with recipe.watch(model, optimizer):
        loop(model, optimizer, data, 1)
    assert torch.autograd.backward is before
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_an_error_of_the_loop_comes_through_and_the_hooks_are_removed():
    model, optimizer, _ = parts()
    with pytest.raises(ZeroDivisionError), recipe.watch(model, optimizer):
        1 / 0  # noqa: B018
    assert not model._forward_hooks


def test_it_warns_once_with_the_step_and_the_line():
    model, optimizer, data = parts()
    with warnings.catch_warnings(record=True) as caught, recipe.watch(model, optimizer):
        warnings.simplefilter("always")
        for a, b in data:
            model.eval()
            F.cross_entropy(model(a), b).backward()  # this line is named
            optimizer.step()
            optimizer.zero_grad()
    watch_warnings = [w for w in caught if w.category is RecipeWarning]
    texts = [str(w.message) for w in watch_warnings]
    assert len(texts) == 1
    assert watch_warnings[0].filename == __file__
    assert "step 1: training_is_in_train_mode" in texts[0]
    here = test_it_warns_once_with_the_step_and_the_line.__code__.co_firstlineno
    assert f"test_watch.py:{here + 6}" in texts[0]


def test_on_fail_stops_in_the_step_that_is_wrong():
    model, optimizer, data = parts()
    done = []

    def never_clears():
        with recipe.watch(model, optimizer, on="fail"):
            for a, b in data:
                F.cross_entropy(model(a), b).backward()
                optimizer.step()
                done.append(len(a))

    with pytest.raises(recipe.RecipeError, match="gradients_are_fresh"):
        never_clears()
    assert len(done) == 1


def test_a_waived_gate_and_a_skipped_check_are_quiet():
    model, optimizer, data = parts()
    model.eval()
    waive = {"training_is_in_train_mode": "the statistics are to stay"}
    with recipe.watch(model, optimizer, on="fail", waive=waive, skip=["gradients_are_fresh"]) as watched:
        for a, b in data:
            F.cross_entropy(model(a), b).backward()
            optimizer.step()
    assert watched.report["training_is_in_train_mode"].waived
    assert "gradients_are_fresh" not in {v.check for v in watched.report.verdicts}
    watched.report.raise_if_failed()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": lambda x: x}, "model must be a Module, it is a function"),
        ({"optimizer": 3}, "optimizer must be a Optimizer, it is a int"),
        ({"optimizer": [3]}, "optimizer must be a Optimizer, it is a int"),
        ({"on": "shout"}, "on is 'shout', it must be one of warn, fail, quiet"),
        ({"waive": {"loss_at_init": ""}}, "waived without a reason"),
        ({"skip": ["no_such"]}, "no check called no_such"),
    ],
)
def test_what_cannot_be_watched_is_one_message(change, words):
    model, optimizer, _ = parts()
    given = {"model": model, "optimizer": optimizer} | change
    with pytest.raises(recipe.RecipeError, match=words):
        recipe.watch(given.pop("model"), given.pop("optimizer"), **given)


def test_an_error_of_the_watch_ends_the_watch_alone(monkeypatch):
    monkeypatch.setattr("recipe.watching.hooks.main_input", lambda structure: 1 / 0)
    model, optimizer, data = parts()
    with pytest.warns(RecipeWarning, match="ZeroDivisionError"), recipe.watch(model, optimizer) as watched:
        loop(model, optimizer, data, 1)
    assert "ZeroDivisionError" in watched.observed.crash
    assert watched.report.failed == ["the_loop_is_seen"]  # what could not be looked at has not passed


class KeepsItsGraph(nn.Linear):
    def forward(self, x):
        self.kept = [super().forward(x)]  # copy.deepcopy refuses it
        return self.kept[0]


class KeepsALock(nn.Linear):
    def __init__(self, *args):
        super().__init__(*args)
        self.lock = threading.Lock()


@pytest.mark.parametrize(("kind", "verdict"), [(KeepsItsGraph, "pass"), (KeepsALock, "skip")])
def test_a_model_that_cannot_be_copied_is_watched_without_its_copy(kind, verdict):
    model = kind(64, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    _, _, data = parts()
    with recipe.watch(model, optimizer, on="fail") as watched:
        loop(model, optimizer, data, 1)
    assert watched.report["batch_is_independent"].verdict == verdict
    assert watched.observed.steps == len(data)


def test_a_copy_of_the_model_takes_no_hook_of_a_watch_that_is_over_along():
    model, optimizer, data = parts()
    with recipe.watch(model, optimizer) as watched:
        loop(model, optimizer, data, 1)
        average = copy.deepcopy(model)
    steps = watched.observed.forwards
    average(torch.rand(4, 64))
    assert watched.observed.forwards == steps


class Cosine(nn.Module):
    """A head whose outputs are cosines times 30."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(64, 32), nn.Linear(32, 10, bias=False)

    def forward(self, x):
        return 30 * F.normalize(self.body(x)) @ F.normalize(self.head.weight).T


def zero_head():
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    model[0].requires_grad_(False)
    return model


@pytest.mark.parametrize("make", [Cosine, zero_head])
def test_unusual_heads_close_no_gate(make):
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-2)
    with recipe.watch(model, optimizer, on="fail"):
        loop(model, optimizer, parts()[2])


# ---- what is healthy and looks like a mistake -----------------------------------------------------------------------


def step(model, optimizer, a, b):
    optimizer.zero_grad()
    F.cross_entropy(model(a), b).backward()
    optimizer.step()


def averaged_weights(model, optimizer, data):
    """The moving average is put in the place of the weights for each evaluation, and taken out again."""
    average = copy.deepcopy(model)
    for _ in range(3):
        model.train()
        for a, b in data:
            step(model, optimizer, a, b)
            for p, q in zip(average.parameters(), model.parameters(), strict=True):
                p.data.lerp_(q.data, 0.1)
        own = copy.deepcopy(model.state_dict())
        model.load_state_dict(average.state_dict())
        model.eval()
        with torch.no_grad():
            [model(a) for a, _ in data]
        model.load_state_dict(own)


def pseudo_labels(model, optimizer, data):
    """One pass without gradients in train mode, in each step."""
    for a, b in data:
        with torch.no_grad():
            guess = model(a).argmax(1)
        step(model, optimizer, a, torch.where(torch.rand(len(b)) < 0.1, guess, b))


def frozen_statistics(model, optimizer, data):
    for a, b in data:
        model.train()
        model[1].eval()
        step(model, optimizer, a, b)


def two_backwards(model, optimizer, data):
    for a, b in data:
        optimizer.zero_grad()
        out = model(a)
        F.cross_entropy(out, b).backward(retain_graph=True)
        (0.01 * out.square().mean()).backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.5)
        optimizer.step()


def long_warmup(model, optimizer, data):
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: n / 500)
    for _ in range(3):
        for a, b in data:
            step(model, optimizer, a, b)
            schedule.step()


def checkpointed(model, optimizer, data):
    from torch.utils.checkpoint import checkpoint

    for a, b in data:
        optimizer.zero_grad()
        hidden = checkpoint(model[:3], a, use_reentrant=False)
        F.cross_entropy(model[3:](hidden), b).backward()
        optimizer.step()


def sharpness_aware(model, optimizer, data):
    """Two passes and backwards for a step, on one batch; the gradients of the first are cleared."""
    for a, b in data:
        optimizer.zero_grad()
        F.cross_entropy(model(a), b).backward()
        with torch.no_grad():
            moves = [p.grad * 0.01 for p in model.parameters()]
            for p, move in zip(model.parameters(), moves, strict=True):
                p.add_(move)
        optimizer.zero_grad()
        F.cross_entropy(model(a), b).backward()
        with torch.no_grad():
            for p, move in zip(model.parameters(), moves, strict=True):
                p.sub_(move)
        optimizer.step()


def steps_of_200(model, optimizer, data):
    """The last third at a hundredth of the first rate, as ResNets are trained."""
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 20, 0.1)
    for a, b in [*data] * 3:
        step(model, optimizer, a, b)
        schedule.step()


def crafted_in_eval_mode(model, optimizer, data):
    """Adversarial examples: backward passes in eval mode, whose gradients are cleared."""
    for a, b in data:
        model.eval()
        a.requires_grad_()
        F.cross_entropy(model(a), b).backward()
        crafted = (a + 0.01 * a.grad.sign()).detach()
        model.train()
        step(model, optimizer, crafted, b)


def several_passes_without_gradients(model, optimizer, data):
    for a, b in data:
        with torch.no_grad():
            guesses = [model(a + 0.01 * k) for k in range(4)]
        step(model, optimizer, a, torch.where(torch.rand(len(b)) < 0.1, sum(guesses).argmax(1), b))


def unfrozen_late(model, optimizer, data):
    model[0].requires_grad_(False)
    for number, (a, b) in enumerate([*data] * 3):
        if number == 50:
            model[0].requires_grad_(True)
        step(model, optimizer, a, b)


UNUSUAL = [
    steps_of_200, crafted_in_eval_mode, several_passes_without_gradients, unfrozen_late,
    averaged_weights, pseudo_labels, frozen_statistics, two_backwards, long_warmup, checkpointed, sharpness_aware,
]  # fmt: skip


@pytest.mark.parametrize("run", UNUSUAL)
def test_unusual_loops_close_no_gate_and_stay_the_same(run):
    states = []
    for watching in (True, False):
        model, optimizer, data = parts()
        if watching:
            with recipe.watch(model, optimizer, on="fail") as watched:
                run(model, optimizer, data)
            assert not watched.observed.crash
        else:
            run(model, optimizer, data)
        states.append([t.clone() for t in model.state_dict().values()])
    assert all(a.equal(b) for a, b in zip(*states, strict=True))


def test_time_first_sequences_are_not_taken_for_a_mixed_batch():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.rnn, self.head = nn.Embedding(20, 16), nn.LSTM(16, 16), nn.Linear(16, 20)

        def forward(self, ids):  # (T, B)
            return self.head(self.rnn(self.words(ids))[0])

    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    with recipe.watch(model, optimizer, on="fail") as watched:
        for _ in range(20):
            ids = torch.randint(0, 20, (13, 8))
            optimizer.zero_grad()
            F.cross_entropy(model(ids[:-1]).flatten(0, 1), ids[1:].flatten()).backward()
            optimizer.step()
    assert watched.report["batch_is_independent"].verdict == "skip"


def test_several_heads_and_optimizers():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.EmbeddingBag(50, 16, sparse=True)
            self.label, self.rebuilt = nn.Linear(16, 3), nn.Linear(16, 6)

        def forward(self, ids):
            hidden = self.words(ids)
            return {"logits": self.label(hidden), "rebuilt": self.rebuilt(hidden)}

    torch.manual_seed(0)
    model = Net()
    dense = [p for n, p in model.named_parameters() if not n.startswith("words")]
    optimizers = [torch.optim.Adam(dense, 1e-2), torch.optim.SparseAdam(model.words.parameters(), 1e-2)]
    with recipe.watch(model, optimizers, on="fail") as watched:
        for _ in range(20):
            ids, labels = torch.randint(0, 50, (32, 6)), torch.randint(0, 3, (32,))
            out = model(ids)
            loss = F.cross_entropy(out["logits"], labels) + 0.1 * F.mse_loss(out["rebuilt"], ids / 50)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
    assert not watched.observed.crash


def test_a_discriminator_whose_gradients_are_cleared_late():
    torch.manual_seed(0)
    judge, make = nn.Linear(64, 1), nn.Linear(8, 64)
    first, second = torch.optim.Adam(judge.parameters(), 1e-3), torch.optim.Adam(make.parameters(), 1e-3)
    with recipe.watch(judge, first, on="fail"):
        for a, _ in parts()[2]:
            first.zero_grad()
            made = make(torch.randn(len(a), 8))
            (F.softplus(-judge(a)) + F.softplus(judge(made.detach()))).mean().backward()
            first.step()
            second.zero_grad()
            F.softplus(-judge(made)).mean().backward()  # adds to the gradients of the judge
            second.step()


@pytest.mark.parametrize("size", [2**24 + 1, 50257 * 768, 30522 * 768])
def test_indices_of_large_parameters_are_below_their_size(size):
    index = evenly_spaced(size, 512)
    assert len(index) == 512
    assert index[0] == 0
    assert index[-1] == size - 1


def test_a_model_can_be_saved_and_copied_inside_the_block(tmp_path):
    model, optimizer, data = parts()
    with recipe.watch(model, optimizer) as watched:
        step(model, optimizer, *next(iter(data)))
        torch.save(model, tmp_path / "model.pt")
    forwards = watched.observed.forwards
    torch.load(tmp_path / "model.pt", weights_only=False)(torch.rand(4, 64))
    assert watched.observed.forwards == forwards


def test_backward_with_names():
    model, optimizer, data = parts()
    with recipe.watch(model, optimizer) as watched:
        a, b = next(iter(data))
        torch.autograd.backward(tensors=[F.cross_entropy(model(a), b)])
    assert watched.observed.backwards == 1


def test_a_rate_that_is_far_too_high():
    model, _, data = parts()
    optimizer = torch.optim.SGD(model.parameters(), 300.0)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        loop(model, optimizer, data, 1)
    assert "loss_does_not_explode" in watched.closed


def test_sparse_gradients():
    torch.manual_seed(0)
    model = nn.Sequential(nn.EmbeddingBag(50, 8, sparse=True), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    with recipe.watch(model, optimizer, on="fail") as watched:
        for _ in range(20):
            step(model, optimizer, torch.randint(0, 50, (32, 6)), torch.randint(0, 3, (32,)))
    assert not watched.observed.crash


def test_a_warning_that_is_made_an_error_stops_the_loop():
    model, optimizer, data = parts()
    model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RecipeWarning)
        with pytest.raises(RecipeWarning, match="training_is_in_train_mode"), recipe.watch(model, optimizer):
            step(model, optimizer, *next(iter(data)))


def test_two_watches_may_end_in_any_order():
    before = torch.autograd.backward
    (one, first, data), (other, second, _) = parts(), parts(1)
    outer, inner = recipe.watch(one, first), recipe.watch(other, second)
    outer.__enter__()
    inner.__enter__()
    batch = next(iter(data))
    step(one, first, *batch)
    outer.__exit__(None)
    step(other, second, *batch)
    assert [outer.observed.backwards, inner.observed.backwards] == [1, 1]
    inner.__exit__(None)
    step(other, second, *batch)
    assert [outer.observed.backwards, inner.observed.backwards] == [1, 1]
    torch.autograd.backward = before  # the outer one has left its function, which does nothing any more


def test_every_check_has_a_claim_a_hint_and_a_source():
    for name, check in CHECKS.items():
        assert check.fixed["claim"].endswith("."), name
        assert check.fixed["source"], name


# ---- structures -------------------------------------------------------------------------------------------------


def test_the_main_tensors_of_structures():
    ids, images, weights = torch.ones(4, 7).long(), torch.rand(4, 3, 5, 5), torch.rand(4)
    assert main_input(((images, ids), {})) is images
    assert main_input(({"ids": ids, "weight": weights},)) is ids
    assert main_input(()) is None
    assert main_output({"loss": torch.tensor(1.0), "logits": weights}, 4) is weights
    changed = map_rows({"a": ids, "b": [images, torch.ones(3)]}, 4, lambda t: t[:2])
    assert [len(changed["a"]), len(changed["b"][0]), len(changed["b"][1])] == [2, 2, 3]


def test_equal_rows_have_equal_fingerprints_in_any_batch():
    x = torch.rand(50, 3, 9, 9)
    torch.testing.assert_close(fingerprints(x)[10:13], fingerprints(x[10:13]), rtol=1e-12, atol=0)
    assert len(fingerprints(x).unique()) == 50
