"""Trainings in the forms that people have: what steps and evaluations return, DataLoaders, loops without a history."""

import pytest
import torch
from bugs.data import digits
from bugs.reference import on_digits, split
from torch import nn
from torch.utils.data import DataLoader, SequentialSampler, TensorDataset, WeightedRandomSampler

from recipe import examine
from recipe.checks.answers import LossOfStep, ScoreOfEvaluation
from recipe.errors import RecipeError
from recipe.train import loop

QUICK = ("the_optimizer_steps", "every_parameter_moves", "gradients_are_fresh", "steps_follow_the_gradient")
OF_EVALUATION = (
    "everything_is_counted", "evaluation_ignores_batches", "evaluation_repeats", "evaluation_leaves_the_model_alone",
    "evaluation_tells_right_from_wrong", "evaluation_equals_ours",
)  # fmt: skip


def step_that_returns(form):
    def step(model, optimizer, x, y, loss):
        return form(loop.train_step(model, optimizer, x, y, loss))

    return step


FORMS = {
    "nothing": lambda value: None,
    "a mapping": lambda value: {"loss": value, "lr": 0.1},
    "a tuple": lambda value: (value, torch.zeros(3)),
    "a number": float,
}


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.functional.cross_entropy], ids=["module", "function"])
@pytest.mark.parametrize("form", FORMS)
def test_a_step_may_return_its_loss_in_any_form(form, loss):
    setup, plain = (on_digits(0, loss=loss, train_step=s) for s in (step_that_returns(FORMS[form]), None))
    (_, losses), (_, expected) = setup.train_for(12), plain.train_for(12)
    assert losses == pytest.approx(expected, rel=1e-6)
    report = examine(setup, only=QUICK)
    assert report.failed == []
    assert [v.value for v in report.verdicts] == [v.value for v in examine(plain, only=QUICK).verdicts]


def test_a_step_that_returns_nothing_and_calls_another_loss_is_told_what_to_return():
    def step(model, optimizer, x, y, loss):
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    with pytest.raises(RecipeError, match="train_step returned nothing, and did not call the loss that it was given"):
        on_digits(0, train_step=step).train_for(1)


def accuracy(model, loader):
    model.eval()
    with torch.no_grad():
        right = sum(int((model(x).argmax(1) == y).sum()) for x, y in loader)
    return right / len(loader.dataset)


EVALUATIONS = {
    "a mapping": lambda m, d: {"val_loss": 0.3, "val_acc": accuracy(m, d), "n": 7},
    "a tuple": lambda m, d: (0.3, accuracy(m, d)),
    "a tensor": lambda m, d: torch.tensor(accuracy(m, d)),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", EVALUATIONS)
def test_an_evaluation_may_return_its_score_in_any_form(form):
    assert examine(on_digits(0, evaluate=EVALUATIONS[form]), only=OF_EVALUATION).failed == []


def test_the_score_that_is_meant_can_be_named():
    def evaluate(model, loader):
        return {"auc": 0.9, "exact_match": 0.5, "names": ["a"]}

    assert ScoreOfEvaluation(evaluate, None)(None, None) == 0.9
    assert ScoreOfEvaluation(evaluate, "exact_match")(None, None) == 0.5
    with pytest.raises(RecipeError, match="metric is 'f1', and evaluate returned auc, exact_match"):
        ScoreOfEvaluation(evaluate, "f1")(None, None)
    assert ScoreOfEvaluation(lambda m, d: (0.1, 0.2, [1, 2]), 0)(None, None) == 0.1
    with pytest.raises(RecipeError, match="evaluate returned a list; it must return a score"):
        ScoreOfEvaluation(lambda m, d: [], None)(None, None)


@pytest.mark.slow
def test_a_wrong_evaluation_in_a_mapping_is_noticed():
    def shuffled(model, loader):
        return {"loss": 0.0, "acc": 1 - accuracy(model, loader) if len(loader) > 1 else accuracy(model, loader)}

    assert examine(on_digits(0, evaluate=shuffled), only=OF_EVALUATION).failed


def fit(setup, model, optimizer, scheduler, train_loader, val_loader, epochs):
    for _ in range(epochs):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            setup.loss(model(x), y).backward()
            optimizer.step()
        setup.evaluate(model, val_loader)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.functional.cross_entropy], ids=["module", "function"])
def test_a_loop_may_return_nothing(loss):
    report = examine(on_digits(0, loss=loss, fit=fit), only=("training_loss_falls", "beats_a_blind_model"))
    assert [v.verdict for v in report.verdicts] == ["pass", "pass"]


@pytest.mark.slow
def test_a_loop_that_returns_nothing_and_never_steps_is_noticed():
    def idle(setup, model, optimizer, scheduler, train_loader, val_loader, epochs):
        for _ in range(epochs):
            for x, y in train_loader:
                setup.loss(model(x), y).backward()

    assert "training_loss_falls" in examine(on_digits(0, fit=idle), only=("training_loss_falls",)).failed


def test_loaders_are_taken_apart():
    x, y = digits()
    train, val = split(x, y, 1000).values()

    def collate(rows):
        return torch.stack([r[0] for r in rows]), torch.tensor([int(r[1]) for r in rows])

    setup = on_digits(0, train=DataLoader(train, 48, shuffle=True, collate_fn=collate), val=DataLoader(val, 100))
    assert setup.train is train
    assert setup.val is val
    assert (setup.batch_size, setup.shuffle, setup.collate) == (48, True, collate)
    assert not setup.declare.resampled_train
    ordered = on_digits(0, train=DataLoader(train, 10, sampler=SequentialSampler(train)), val=val)
    assert not ordered.shuffle


def test_the_rows_of_a_sampler_are_what_the_checks_see():
    x, y = digits()
    train, val = split(x, y, 1000).values()
    assert isinstance(train, TensorDataset)
    weights = torch.where(y[:1000] == 3, 50.0, 1.0)
    setup = on_digits(0, train=DataLoader(train, 32, sampler=WeightedRandomSampler(weights.tolist(), 800)), val=val)
    assert len(setup.train) == 800
    assert setup.declare.resampled_train
    assert (setup.train_tensors[1] == 3).double().mean() > 0.5


def test_what_is_given_keeps_its_name():
    assert LossOfStep(fit).__name__ == "fit"


def test_batches_of_one_example_are_trained_on():
    setup = on_digits(0, batch_size=1, epochs=1, model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    assert len(setup.train_for(5)[1]) == 5
    assert examine(setup, only=("the_optimizer_steps", "inputs_are_finite")).failed == []
