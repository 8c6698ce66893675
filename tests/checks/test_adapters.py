"""Setups of the trainings of others: transformers' Trainer and Lightning's modules."""

import importlib.util

import pytest
import torch
from checks.shapes import digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from watching.programs import sentences

from recipe import RecipeError, Setup, examine
from recipe.checks.paired_optimizer import optimizer_like

QUICK = (
    "inputs_are_finite", "labels_are_in_range", "loss_wants_the_targets", "batch_is_independent",
    "optimizer_holds_the_model", "the_optimizer_steps", "every_parameter_moves", "gradients_are_fresh",
    "steps_follow_the_gradient", "learning_rate_lasts", "the_whole_batch_is_trained_on", "evaluation_equals_ours",
    "the_pretrained_part_is_loaded", "evaluation_feeds_what_training_feeds", "training_is_in_train_mode",
    "evaluation_tells_right_from_wrong",
)  # fmt: skip


def test_an_optimizer_for_a_copy_holds_its_parameters_and_foreign_ones_stay():
    model, copy = (nn.Linear(3, 2) for _ in range(2))
    stray = nn.Parameter(torch.zeros(1))
    groups = [{"params": [model.weight], "lr": 0.5}, {"params": [model.bias, stray]}]
    made = optimizer_like(torch.optim.AdamW(groups, 0.1, weight_decay=0.3), model, copy)
    assert [g["lr"] for g in made.param_groups] == [0.5, 0.1]
    assert made.param_groups[1]["weight_decay"] == 0.3
    held = [p for g in made.param_groups for p in g["params"]]
    assert [a is b for a, b in zip(held, (copy.weight, copy.bias, stray), strict=True)] == [True] * 3


def with_schedule(unit, make):
    """On digits; `make` gives what the optimizer function gives."""
    x, y = digits()
    return Setup(
        model=lambda: nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), loss=nn.CrossEntropyLoss(),
        optimizer=lambda model: make(torch.optim.SGD(model.parameters(), 0.1)), schedule_per=unit, batch_size=32,
        train=TensorDataset(x[:480], y[:480]), val=TensorDataset(x[480:], y[480:]),
    )  # fmt: skip


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_an_optimizer_may_come_with_its_schedule(unit):
    """That of the pair is made for epochs."""
    setup = with_schedule(unit, lambda optimizer: (optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)))
    report = examine(setup, only=("the_optimizer_steps", "learning_rate_lasts"))
    assert report.failed == ([] if unit == "epoch" else ["learning_rate_lasts"])


def test_two_optimizers_are_refused():
    with pytest.raises(RecipeError, match=r"optimizer gave a list; it must give an optimizer.*recipe.watch"):
        examine(with_schedule("step", lambda optimizer: [optimizer] * 3), only=("the_optimizer_steps",))


# ---- transformers ------------------------------------------------------------------------------------------------


def trainer(folder, kind=None, **parts):
    transformers = pytest.importorskip("transformers", reason="pip install -c constraints.txt -e '.[text]'")
    pytest.importorskip("accelerate", reason="pip install accelerate: transformers' Trainer needs it")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=2
    )
    ids, _, labels = sentences()
    rows = [{"input_ids": i, "attention_mask": (i > 0).long(), "labels": y} for i, y in zip(ids, labels, strict=True)]
    arguments = transformers.TrainingArguments(
        str(folder), per_device_train_batch_size=32, num_train_epochs=3, report_to=[], learning_rate=1e-2,
        use_cpu=True, disable_tqdm=True, warmup_steps=4, label_smoothing_factor=parts.pop("smoothing", 0.0),
    )  # fmt: skip
    options = {
        "model_init": lambda: transformers.BertForSequenceClassification(config), "args": arguments,
        "train_dataset": rows[:360], "eval_dataset": rows[360:],
        "compute_metrics": lambda p: {"accuracy": float((p.predictions.argmax(1) == p.label_ids).mean())},
    }  # fmt: skip
    return (kind or transformers.Trainer)(**(options | parts))


@pytest.mark.slow
def test_a_trainer_of_transformers_closes_no_gate(tmp_path):
    setup = Setup.from_trainer(trainer(tmp_path))
    report = examine(setup, only=QUICK)
    assert report.failed == [], str(report)
    assert report["evaluation_equals_ours"].verdict == "pass"
    assert report["learning_rate_lasts"].verdict == "pass"
    assert (setup.batch_size, setup.epochs) == (32, 3)


@pytest.mark.slow
def test_a_trainer_whose_loss_leaves_its_labels_is_noticed(tmp_path):
    transformers = pytest.importorskip("transformers", reason="pip install -c constraints.txt -e '.[text]'")

    class Shifted(transformers.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            inputs = {**inputs, "labels": 1 - inputs["labels"]}
            return super().compute_loss(model, inputs, return_outputs)

    setup = Setup.from_trainer(trainer(tmp_path, Shifted), loss=F.cross_entropy)
    report = examine(setup, only=("the_optimizer_steps", "steps_follow_the_gradient"))
    assert report.failed == ["steps_follow_the_gradient"]
    assert "labels and inputs are paired differently inside the step" in report["steps_follow_the_gradient"].hint


@pytest.mark.slow
def test_the_loss_of_a_trainer_is_recognised_and_a_weighted_one_must_be_given(tmp_path):
    transformers = pytest.importorskip("transformers", reason="pip install -c constraints.txt -e '.[text]'")
    weights = torch.tensor([0.2, 5.0])

    class Weighted(transformers.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            outputs = model(**inputs)
            loss = F.cross_entropy(outputs.logits, inputs["labels"], weights)
            return (loss, outputs) if return_outputs else loss

    with pytest.raises(RecipeError, match=r"compute_loss of the trainer computes a loss that is none of .*loss=lambda"):
        examine(Setup.from_trainer(trainer(tmp_path, Weighted)), only=("inputs_are_finite",))
    given = Setup.from_trainer(trainer(tmp_path, Weighted), loss=lambda z, y: F.cross_entropy(z, y, weights))
    assert examine(given, only=("steps_follow_the_gradient", "loss_wants_the_targets")).failed == []


# ---- Lightning ---------------------------------------------------------------------------------------------------


def lightning():
    name = next((n for n in ("lightning", "pytorch_lightning") if importlib.util.find_spec(n)), None)
    if name is None:
        pytest.skip("pip install lightning: it is an extra of the benchmarks")
    return pytest.importorskip("lightning.pytorch" if name == "lightning" else name)


def module_and_data(bug=False, unit="epoch"):
    pl = lightning()

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, number):
            x, y = batch
            loss = F.cross_entropy(self.net(x), y)
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), 0.05, momentum=0.9)
            schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": unit}}

    class Data(pl.LightningDataModule):
        def setup(self, stage):
            x, y = digits()
            self.train, self.val = TensorDataset(x[:480], y[:480]), TensorDataset(x[480:], y[480:])

        def train_dataloader(self):
            return DataLoader(self.train, 32, shuffle=not bug)

        def val_dataloader(self):
            return DataLoader(self.val, 64)

    torch.manual_seed(0)
    return Module(), Data()


@pytest.mark.slow
def test_a_module_of_lightning_closes_no_gate():
    setup = Setup.from_lightning(*module_and_data())
    report = examine(setup, only=QUICK)
    assert report.failed == [], str(report)
    assert report["learning_rate_lasts"].verdict == "pass"
    assert (setup.batch_size, setup.shuffle, setup.schedule_per) == (32, True, "epoch")


@pytest.mark.slow
def test_a_schedule_of_lightning_that_is_made_for_epochs_and_stepped_per_batch_is_noticed():
    setup = Setup.from_lightning(*module_and_data(unit="step"))
    report = examine(setup, only=("learning_rate_lasts",))
    assert report.failed == ["learning_rate_lasts"]
    assert "A scheduler made for epochs is stepped per batch" in report["learning_rate_lasts"].hint


def test_several_optimizers_of_a_module_are_refused():
    module, data = module_and_data()
    module.configure_optimizers = lambda: [torch.optim.SGD(module.parameters(), 0.1) for _ in range(2)]
    with pytest.raises(RecipeError, match=r"gave 2 optimizers, and must give one; watch the fit with WatchCallback"):
        Setup.from_lightning(module, data)
