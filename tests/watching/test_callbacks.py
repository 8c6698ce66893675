"""The watch inside the training loops of others: transformers' Trainer and Lightning's."""

import importlib.util

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from watching.programs import digits, sentences

pytestmark = pytest.mark.slow


@pytest.fixture
def trainer_callback():
    pytest.importorskip("accelerate", reason="pip install accelerate: transformers' Trainer needs it")
    pytest.importorskip("transformers", reason="pip install -c constraints.txt -e '.[text]'")
    from recipe.watching.for_transformers import WatchCallback

    return WatchCallback


@pytest.mark.parametrize("bug", [False, True])
def test_transformers_trainer(trainer_callback, tmp_path, bug):
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=2
    )
    model = BertForSequenceClassification(config)
    ids, _, labels = sentences()
    rows = [{"input_ids": i, "attention_mask": (i > 0).long(), "labels": y} for i, y in zip(ids, labels, strict=True)]
    arguments = TrainingArguments(
        str(tmp_path), per_device_train_batch_size=32, num_train_epochs=2, report_to=[], save_strategy="no",
        learning_rate=1e-3, use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    watch = trainer_callback(on="quiet")
    trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=rows[:64], callbacks=[watch])
    if bug:
        trainer.create_optimizer()
        model.classifier = nn.Linear(16, 2)
    trainer.train()
    closed = watch.report.failed
    assert watch.watch.observed.steps == 30
    assert closed == (["optimizer_holds_the_model", "every_parameter_moves"] if bug else [])
    assert not model._forward_hooks


@pytest.mark.parametrize("bug", [False, True])
def test_lightning_trainer(tmp_path, bug):
    name = next((n for n in ("lightning", "pytorch_lightning") if importlib.util.find_spec(n)), None)
    if name is None:
        pytest.skip("pip install lightning: it is an extra of the benchmarks")
    pl = pytest.importorskip("lightning.pytorch" if name == "lightning" else name)
    from recipe.watching.for_lightning import WatchCallback

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
            if bug:
                self.net.append(nn.Softmax(1))

        def training_step(self, batch, number):
            return F.cross_entropy(self.net(batch[0]), batch[1])  # a part is called, not the module

        def validation_step(self, batch, number):
            self.log("val_loss", F.cross_entropy(self.net(batch[0]), batch[1]))

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-3)

    torch.manual_seed(0)
    x, y = digits()
    train, val = (
        DataLoader(TensorDataset(x[p], y[p]), 32, shuffle=p.start == 0) for p in (slice(0, 512), slice(512, 640))
    )
    watch, module = WatchCallback(on="quiet", val=val), Module()
    pl.Trainer(
        max_epochs=3, callbacks=[watch], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", default_root_dir=tmp_path,
    ).fit(module, train, val)  # fmt: skip
    assert watch.watch.observed.steps == 48
    assert watch.report.failed == (["outputs_are_not_squashed"] if bug else [])
    assert watch.report["training_is_in_train_mode"].verdict == "pass"
    assert watch.report["evaluation_is_in_eval_mode"].verdict == "pass"
    assert not module.net._forward_hooks
