"""A search end to end, beside Optuna with a plain torch objective and with Lightning. Prints Markdown tables.

    pip install -c constraints.txt -e '.[rivals]'
    python benchmarks/tune.py                             # CPU time per trial of 64, mlp and small conv net on digits
    python benchmarks/tune.py --overhead                  # the share of Optuna, its storage and MLflow in 100 trials
    python benchmarks/tune.py --samplers --cifar FILE     # random and TPE at the same budget, over 5 repeats

All search learning rate, weight decay, dropout and label smoothing of the same nets at random, train 18 passes of 1,024
digits in batches of 32, look at 300 others after each, and keep every trial on disk. Ours: the tune stage's search
with its journal, every trial a child run in MLflow with its curve. Theirs: Optuna with sqlite, DataLoader over a
TensorDataset and fused AdamW, without any tracking; and Optuna with sqlite, a LightningModule with torchmetrics,
MLFlowLogger and a checkpoint for each trial. Imports and the making of MLflow's tables are in nobody's time. All run
under a stage's settings (one thread, a heap that is kept, denormals flushed), by which the rivals gain too. Variants
take turns; of the rivals, whose trials cost the same each, some trials are done per round, and all 64 of the plain one
in the first, for its best value.
"""

import argparse
import contextlib
import io
import logging
import os
import shutil
import statistics
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import lightning
import optuna
import torch
from engine_cases import cpu, digits, in_turns, ratio, say, shown, table
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import MLFlowLogger
from omegaconf import OmegaConf
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from recipe.config.compose import compose
from recipe.data.batches import Data, Split
from recipe.metrics.classification import ACCURACY
from recipe.models.plain import convnet, mlp
from recipe.stages.runner import Run
from recipe.stages.torch_setup import prepare_torch
from recipe.stages.tune import worker
from recipe.stages.tune.compare_samplers import best_of_repeats, sampler_predictions
from recipe.stages.tune.study import SamplerStudy
from recipe.stages.tune.trials import log_trials
from recipe.tasks.classification import Classification
from recipe.tracking.tracker import Tracker

ROOT = Path(__file__).resolve().parents[1]
BATCH, PASSES, TRIALS = 32, 18, 64
AIMS = {"mlp": (8, 20, 20, 50), "conv net": (2, 4, 5, 10)}  # full: plain, Lightning; halved: plain, Lightning
NETS = {"mlp": mlp, "conv net": convnet}
SPACE = {
    "optimizer.lr": {"low": 1e-4, "high": 3e-2, "log": True},
    "optimizer.weight_decay": {"low": 1e-4, "high": 1e-1, "log": True},
    "model.dropout": {"low": 0.0, "high": 0.5},
    "loss.label_smoothing": {"low": 0.0, "high": 0.2},
}
optuna.logging.set_verbosity(optuna.logging.ERROR)
for name in ("lightning", "lightning.pytorch", "lightning.fabric", "alembic", "mlflow"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore")


# ---- ours --------------------------------------------------------------------------------------------------------


def on_digits() -> Data:
    part, val = digits()
    one = torch.ones(1, 1, 1)
    return Data(part, val, Classification(tuple(map(str, range(10)))), ACCURACY, 0 * one, one, "digits")


def config(net: str, data: Data, **own):
    """That of the tune stage, with this net, AdamW, the benchmark's space, and what `own` says."""
    cfg = compose("tune", ROOT)
    target = f"recipe.models.plain.{NETS[net].__name__}"
    width = {"mlp": 64, "conv net": 16}[net]
    cfg.model = OmegaConf.create({"_target_": target, "width": width, "dropout": 0.0})
    adam = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 1e-3, "weight_decay": 1e-2, "fused": True}
    cfg.optimizer, cfg.space = OmegaConf.create(adam), OmegaConf.create(SPACE)
    train = {"batch_size": BATCH, "epochs": PASSES, "eval_every": 1, "early_stopping": False}
    return OmegaConf.merge(cfg, {"train": train, "repeats": 1, "trial_seeds": 1, **own})


def searched(cfg, data: Data, folder: Path) -> dict[str, list]:
    """The whole search, logged to MLflow as the stage does it: {sampler: trials}."""
    with contextlib.redirect_stdout(io.StringIO()):
        run = Run("tune", folder, Tracker(cfg, "tune", "benchmark", ""), {})
        search = worker.open_search(cfg, data, {}, {}, folder, run.say)
        worker.take_part(search, partial(log_trials, search.setup, run))
        search.close()
    return worker.trials_of(search)


# ---- theirs ------------------------------------------------------------------------------------------------------


def suggested(trial) -> dict:
    return {
        key: trial.suggest_float(key, range_["low"], range_["high"], log=range_.get("log", False))
        for key, range_ in SPACE.items()
    }


def loaders() -> tuple[DataLoader, DataLoader]:
    part, val = digits()
    return (
        DataLoader(TensorDataset(part.x, part.y), BATCH, shuffle=True),
        DataLoader(TensorDataset(val.x, val.y), 300),
    )


def made(net: str, params: dict):
    model = NETS[net](10, dropout=params["model.dropout"])
    model(digits()[0].x[:2])  # lazy layers
    rates = {"lr": params["optimizer.lr"], "weight_decay": params["optimizer.weight_decay"]}
    return model, torch.optim.AdamW(model.parameters(), fused=True, **rates)


def plainly(net: str, prune: bool):
    def objective(trial) -> float:
        params = suggested(trial)
        torch.manual_seed(trial.number)
        model, optimizer = made(net, params)
        train, val = loaders()
        for epoch in range(PASSES):
            model.train()
            for x, y in train:
                optimizer.zero_grad()
                F.cross_entropy(model(x), y, label_smoothing=params["loss.label_smoothing"]).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                (loss,) = [F.cross_entropy(model(x), y).item() for x, y in val]
            if prune:
                trial.report(loss, epoch + 1)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return loss

    return objective


class Module(lightning.LightningModule):
    def __init__(self, net: str, params: dict):
        super().__init__()
        self.model, self.optimizer = made(net, params)
        self.smoothing = params["loss.label_smoothing"]
        self.train_accuracy, self.val_accuracy = (MulticlassAccuracy(10, average="micro") for _ in range(2))

    def configure_optimizers(self):
        return self.optimizer

    def training_step(self, batch, index):
        x, y = batch
        logits = self.model(x)
        loss = F.cross_entropy(logits, y, label_smoothing=self.smoothing)
        self.train_accuracy(logits, y)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        self.log("train_accuracy", self.train_accuracy, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, index):
        x, y = batch
        logits = self.model(x)
        self.val_accuracy(logits, y)
        self.log("val_loss", F.cross_entropy(logits, y))
        self.log("val_accuracy", self.val_accuracy)


def by_lightning(net: str, folder: Path):
    def objective(trial) -> float:
        module = Module(net, suggested(trial))
        logger = MLFlowLogger("rival", tracking_uri=os.environ["MLFLOW_TRACKING_URI"], run_name=str(trial.number))
        logger.log_hyperparams(trial.params)
        trainer = lightning.Trainer(
            max_epochs=PASSES, accelerator="cpu", logger=logger, enable_progress_bar=False, num_sanity_val_steps=0,
            enable_model_summary=False, callbacks=[ModelCheckpoint(folder / "weights" / str(trial.number))],
        )  # fmt: skip
        trainer.fit(module, *loaders())
        return trainer.callback_metrics["val_loss"].item()

    return objective


def optimized(objective, folder: Path, name: str, trials: int, seed: int) -> float:
    """The best value of so many trials."""
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=3)
    theirs = optuna.create_study(
        study_name=name, storage=f"sqlite:///{folder}/optuna.db", sampler=optuna.samplers.RandomSampler(seed=seed),
        pruner=pruner,
    )  # fmt: skip
    theirs.optimize(objective, trials)
    return theirs.best_value


# ---- tables ------------------------------------------------------------------------------------------------------


def per_trial(nets: list[str], rounds: int, folder: Path) -> None:
    rows = [row for net in nets for row in compared(net, rounds, folder)]
    head = ["64 trials, ms of CPU each", "recipe", "Optuna, plain", "plain, pruned", "Lightning"]
    head += ["gain over plain", "over plain, pruned", "over Lightning", "aims: plain; Lightning"]
    table([*head, "best, recipe and plain"], rows)


def compared(net: str, rounds: int, folder: Path) -> list[list[str]]:
    data, numbers, best = on_digits(), iter(range(10**6)), {}
    own = {"samplers": ["random"], "trials": TRIALS, "together": TRIALS}
    ways = {"full": config(net, data, **own, halving=None), "halved": config(net, data, **own)}
    rivals = {"plain": plainly(net, False), "pruned": plainly(net, True), "lightning": by_lightning(net, folder)}
    counts = {"plain": TRIALS, "pruned": 16, "lightning": 4, **dict.fromkeys(ways, TRIALS)}

    def ours(way: str):
        where = folder / f"{net} {next(numbers)}"
        where.mkdir()

        def run() -> None:
            (trials,) = searched(ways[way], data, where).values()
            best.setdefault(way, min(t.known_cost for t in trials if t.state == "complete"))

        return run

    def theirs(way: str):
        seed = next(numbers)

        def run() -> None:
            best.setdefault(way, optimized(rivals[way], folder, f"{net} {seed}", counts[way], seed))

        return run

    spent = {way: [] for way in counts}
    calls = {way: partial(theirs, way) for way in rivals} | {way: partial(ours, way) for way in ways}
    for n in range(rounds):
        for way, (seconds,) in in_turns(calls, 1).items():
            spent[way].append(1000 * seconds / counts[way])
        counts["plain"] = 4  # its best value is known
        say(f"{net}, round {n + 1}: " + ", ".join(f"{way} {ms[-1]:.0f} ms" for way, ms in spent.items()))
    rows = []
    for n, way in enumerate(ways):
        gains = [shown(ratio(spent[rival], spent[way])) for rival in rivals]
        cells = [f"{statistics.median(spent[w]):.0f}" for w in (way, *rivals)]
        aims = "; ".join(map(str, AIMS[net][2 * n : 2 * n + 2]))
        rows.append([f"{net}, {way}", *cells, *gains, aims, f"{best[way]:.4f}, {best['plain']:.4f}"])
    return rows


def overhead(folder: Path) -> None:
    """The share of asking, storage and MLflow in a search of 100 trials."""
    spent, rows = dict.fromkeys(("Optuna and its storage", "MLflow"), 0.0), []

    def counted(owner, attribute: str, where: str) -> None:
        function = getattr(owner, attribute)

        def timed(*args, **kwargs):
            began = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent[where] += time.process_time() - began

        setattr(owner, attribute, timed)

    for owner, attribute in (
        (SamplerStudy, "refresh"),
        (SamplerStudy, "claim"),
        (SamplerStudy, "write_result"),
        (worker, "propose"),
    ):
        counted(owner, attribute, "Optuna and its storage")
    counted(Tracker, "lane", "MLflow")
    for net in NETS:
        where, data = folder / f"overhead {net}", on_digits()
        where.mkdir()
        spent |= dict.fromkeys(spent, 0.0)
        cfg = config(net, data, samplers=["tpe"], trials=100, generation=20, together=64, halving=None)
        total = cpu(partial(searched, cfg, data, where))
        shares = [f"{seconds / total:.1%} ({10 * seconds:.1f} ms a trial)" for seconds in spent.values()]
        rows.append([net, f"{total:.1f}", *shares])
    table(["100 trials by TPE", "CPU seconds", *spent], rows)


def on_cifar(file: Path, train: int = 1500, val: int = 1000) -> Data:
    """The first images of CIFAR-10 in official order, at 16 pixels."""
    import pyarrow.parquet as pq
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    rows = pq.read_table(file).slice(0, train + val).to_pydict()
    x = torch.stack([pil_to_tensor(Image.open(io.BytesIO(b)).convert("RGB")) for b in rows["image"]]) / 255
    x, y = F.avg_pool2d(x, 2), torch.tensor(rows["label"])
    mean, std = x[:train].mean((0, 2, 3), keepdim=True)[0], x[:train].std((0, 2, 3), keepdim=True)[0]
    x = (x - mean) / std
    parts = [Split(x[a:b], y[a:b], []) for a, b in ((0, train), (train, train + val))]
    return Data(*parts, Classification(tuple(map(str, range(10)))), ACCURACY, mean, std, "cifar")


def samplers(
    folder: Path, nets: list[str], cifar: Path | None, names: list[str], trials: int, passes: int
) -> None:  # fmt: skip
    """Random beside the others, whatever it says: over 5 repeats, best value and the paired interval."""
    sets = {f"digits, {net}": (net, on_digits()) for net in nets}
    if cifar:
        sets["CIFAR-10, 1,500 at 16 pixels, conv net"] = "conv net", on_cifar(cifar)
    rows = []
    for title, (net, data) in sets.items():
        where = folder / title
        where.mkdir()
        cfg = config(net, data, samplers=names, trials=trials, repeats=5, generation=4, together=64, halving=None)
        cfg.train.epochs = passes
        found = searched(cfg, data, where)
        rows.append([title, *(f"{statistics.fmean(best_of_repeats(mine)):.4f}" for mine in found.values())])
        rows[-1].append("; ".join(p["measured"] for p in sampler_predictions(cfg, found)))
        say(" | ".join(rows[-1]))
    table([f"best of {trials}, mean of 5 repeats, nats", *names, f"against {names[0]}, paired"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(NETS), choices=NETS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--overhead", action="store_true")
    parser.add_argument("--samplers", nargs="*", help="random first; default: random tpe")
    parser.add_argument("--trials", type=int, default=24, help="of --samplers, each")
    parser.add_argument("--passes", type=int, default=PASSES, help="of --samplers, in a training")
    parser.add_argument("--cifar", type=Path, help="CIFAR-10's training images as a parquet of encoded images")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    os.environ |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "DVC_ROOT": str(folder)}
    cfg = config("mlp", on_digits())
    prepare_torch(cfg)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            Tracker(cfg, "tune", "makes the tables", "").fail("")
        if options.overhead:
            overhead(folder)
        elif options.samplers is not None:
            samplers(
                folder,
                options.only,
                options.cifar,
                options.samplers or ["random", "tpe"],
                options.trials,
                options.passes,
            )
        else:
            per_trial(options.only, options.rounds, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
