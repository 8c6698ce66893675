"""The same trainings by Lightning, one after the other, and by train() at once. Prints a Markdown table.

    pip install -c constraints.txt -e '.[rivals]'
    python benchmarks/engine_rivals.py                    # 3 rounds
    python benchmarks/engine_rivals.py --only mlp --rounds 5 --theirs 4

Both train 64 models from the same settings and give, for every pass, loss and accuracy on train and on val. Theirs:
a LightningModule, torchmetrics' accuracy, self.log, CSVLogger, DataLoader(TensorDataset, shuffle=True), with fused
AdamW, and without progress bar, summary and checkpoints. Ours looks at the whole of train anew where theirs has the
running mean of the pass. Each round does a few of theirs, whose cost per training does not depend on how many came
before (the table has the last beside the first), and all of ours; augmented, theirs is torchvision's v2.RandomAffine
per example, ours the same changes by Affine on the batch. Imports are in neither side's time.
"""

import argparse
import logging
import tempfile
import warnings

import torch
from engine_cases import CASES, Case, cpu, in_turns, lanes, ratio, say, shown, table
from lightning import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchmetrics.classification import MulticlassAccuracy
from torchvision.transforms import InterpolationMode, v2

from recipe.train.augment import Affine
from recipe.train.engine import train
from recipe.train.lane import Lane

LANES = 64
PASSES = {"mlp": 18, "dropout": 18, "conv8": 4, "mlp, augmented": 4}
AIM = {"mlp": 20, "conv8": 4, "mlp, augmented": 30}
DEGREES, ZOOM, PIXELS = 10, 0.1, 1  # of augmentation

for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")


class Classifier(LightningModule):
    """What one would write by the book."""

    def __init__(self, lane: Lane):
        super().__init__()
        self.model, self.loss, self.torch_optimizer = lane.model, lane.loss, lane.optimizer
        self.train_accuracy, self.val_accuracy = (MulticlassAccuracy(10, average="micro") for _ in range(2))

    def training_step(self, batch, batch_idx):
        x, y = batch
        out = self.model(x)
        loss = self.loss(out, y)
        self.train_accuracy(out, y)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        self.log("train_accuracy", self.train_accuracy, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        out = self.model(x)
        self.val_accuracy(out, y)
        self.log("val_loss", self.loss(out, y))
        self.log("val_accuracy", self.val_accuracy)

    def configure_optimizers(self):
        return self.torch_optimizer


class Augmented(Dataset):
    def __init__(self, part):
        self.part = part
        self.change = v2.RandomAffine(
            DEGREES, (PIXELS / 8, PIXELS / 8), (1 - ZOOM, 1 + ZOOM), interpolation=InterpolationMode.BILINEAR
        )

    def __len__(self):
        return len(self.part)

    def __getitem__(self, i):
        return self.change(self.part.x[i]), self.part.y[i]


def theirs(lane: Lane, part, val, passes: int, augment: bool, folder: str) -> dict:
    """Trains one; gives its last metrics."""
    seen = Augmented(part) if augment else TensorDataset(part.x, part.y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the number of workers, whose start would cost more than they do
        trainer = Trainer(
            max_epochs=passes, accelerator="cpu", devices=1, logger=CSVLogger(folder), num_sanity_val_steps=0,
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(
            Classifier(lane),
            DataLoader(seen, lane.batch_size, shuffle=True),
            DataLoader(TensorDataset(val.x, val.y), 1000),
        )
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def measured(name: str, count: int, rounds: int) -> list[str]:
    case: Case = CASES[name.split(",")[0]]
    part, val = case.data()
    augment = "augmented" in name
    per_pass = len(part) // case.batch_size
    steps, last_rows = PASSES[name] * per_pass, {}

    def one(which: int):
        def fresh():
            (lane,) = lanes(case, 1, steps, first=which)

            def run():
                with tempfile.TemporaryDirectory() as folder:
                    last_rows["theirs"] = theirs(lane, part, val, PASSES[name], augment, folder)

            return run

        return fresh

    def ours():
        more = {"augment": Affine(degrees=DEGREES, zoom=ZOOM, pixels=PIXELS)} if augment else {}
        group = lanes(case, LANES, steps, **more)

        def run():
            last_rows["ours"] = train(group, part, val, eval_every=per_pass)[count - 1].curve[-1]

        return run

    one(0)()()
    ours()()
    variants = {f"theirs {i}": one(i) for i in range(count)} | {"ours": ours}
    spent = in_turns(variants, rounds, cpu)
    together = [sum(s) / count for s in zip(*(spent[f"theirs {i}"] for i in range(count)), strict=True)]
    each = [s / LANES for s in spent["ours"]]
    same = shown(ratio(spent[f"theirs {count - 1}"], spent["theirs 0"]))
    accuracies = f"{last_rows['theirs']['val_accuracy']:.3f}, {last_rows['ours']['val_accuracy']:.3f}"
    what = case.what + (", augmented" if augment else "")
    return [what, f"{PASSES[name]}", f"{min(together) * 1000:.0f}", f"{min(each) * 1000:.1f}",
            shown(ratio(together, each)), f"{AIM.get(name, '')}", same, accuracies]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(PASSES), choices=PASSES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--theirs", type=int, default=2, help="of Lightning's trainings in a round")
    parser.add_argument("--quick", action="store_true", help="one round")
    args = parser.parse_args()
    torch.manual_seed(0)
    rows = []
    for name in args.only:
        rows.append(measured(name, args.theirs, 1 if args.quick else args.rounds))
        say(" | ".join(rows[-1]))
    head = ["64 trainings", "passes", "Lightning, ms each", "recipe, ms each", "speed-up", "target"]
    table([*head, "Lightning's last / its first", "val accuracy, Lightning and recipe"], rows)


if __name__ == "__main__":
    main()
