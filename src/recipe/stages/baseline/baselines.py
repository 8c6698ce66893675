"""The reference models: constant, linear, a small conv net and the configured model, trained and evaluated alike."""

from dataclasses import dataclass, field
from typing import cast

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from recipe.config.changes import change, leaves
from recipe.config.instantiate import plain
from recipe.data.batches import Data
from recipe.data.tokens import Words
from recipe.experiment import build
from recipe.experiment.arms import lane_seeds, score
from recipe.experiment.budget import Budget, cost_of
from recipe.experiment.fitted_baselines import fit_baselines
from recipe.metrics import power
from recipe.metrics.power import Estimate, paired, share_saved
from recipe.models.fitted import BOOSTING, CHARACTERS, LOGISTIC, RIDGE
from recipe.stages.baseline.checks import Baselines
from recipe.stages.runner import Run
from recipe.tasks.task import Task
from recipe.train.lane import Row, Trained, judged
from recipe.train.loop import outputs

LINEAR = RIDGE, LOGISTIC, CHARACTERS, "linear"  # the first that is there is the linear model to beat
SHIPPED = "linear", "convnet", "words"  # baselines in conf/baseline.yaml
WATCHED = 24  # validation examples whose predictions are followed
LEAST_PASSES = 3
REGULARIZERS = (
    "train.augment",
    "train.mixup",
    "train.patience",
    "train.early_stopping",
    "model.dropout",
    "model.dropout2d",
    "optimizer.weight_decay",
    "loss.label_smoothing",
)


@dataclass
class Baseline:
    """One system: its trainings, one per seed, and its predictions for a fixed batch over the first of them.

    changes: what its network is built from, as `build.model` needs it; empty for the constant.
    """

    name: str
    trained: list[Trained]
    dynamics: list[tuple[float, Tensor]]  # (passes, outputs (B, K))
    changes: dict
    val_outputs: list[Tensor] = field(default_factory=list)  # outputs (N, K) of each seed's last weights

    def learning_of_a_batch(self, data: Data) -> tuple[list[float], Tensor, list[str], str]:
        """(passes, how well the prediction fits (evaluations, B), targets, what is shown) of the fixed batch."""
        y = data.val.y[: len(self.dynamics[0][1])].cpu()
        fit = torch.stack([data.task.fit(outputs, y) for _, outputs in self.dynamics])
        return [passes for passes, _ in self.dynamics], fit, data.task.shown(data.task.actual(y)), data.task.fit_title

    def score(self) -> dict:
        return score(self.name, [t.curve[-1] for t in self.trained])


def regularizers(cfg: DictConfig) -> dict[str, object]:
    """{key: value} of every regulariser that the configuration knows: all must be off before regularize."""
    values = leaves(cfg)
    return {key: values[key] for key in REGULARIZERS if key in values}


def constant(cfg: DictConfig, data: Data) -> Baseline:
    """The best constant answer; it is known without training."""
    answer = data.task.constant(data.train.y).to(data.train.y.device)
    return _without_network(cfg, data, "constant", answer.repeat(len(data.train), 1), answer.repeat(len(data.val), 1))


def fitted(cfg: DictConfig, data: Data) -> list[Baseline]:
    """Those of scikit-learn, of tables and texts in memory."""
    done = []
    for name, predict in fit_baselines(data, cfg.seed).items():
        on_train, on_val = (
            data.task.outputs_of(predict(part)).float().to(data.train.y.device) for part in (data.train, data.val)
        )
        done.append(_without_network(cfg, data, name, on_train, on_val))
    return done


def _without_network(cfg: DictConfig, data: Data, name: str, on_train: Tensor, on_val: Tensor) -> Baseline:
    """on_train, on_val: outputs (N, K)."""
    loss = judged(build.loss(cfg, data))
    row: Row = {"step": 0, "epoch": 0}
    for name_of, split, answers in (("train", data.train, on_train), ("val", data.val, on_val)):
        row[f"{name_of}_loss"] = loss(answers, split.y).item()
        row[f"{name_of}_{data.metric.name}"] = data.metric.of_networks(answers[None], split.y).item()
    return Baseline(name, [Trained(curve=[row], ended="not a network")], [], {}, [on_val])


def train_baselines(cfg: DictConfig, data: Data, run: Run) -> list[Baseline]:
    """The constant, those fitted to a table, each baseline of conf that is not the configured model, and that one.

    Which of conf's suit the inputs depends on their kind: rows of features have no neighbouring pixels. Of embeddings
    the logistic or ridge regression is the linear model.
    """
    baselines = [constant(cfg, data), *fitted(cfg, data)]
    for baseline in baselines:
        run.lane(baseline.name, baseline.trained[0], {"model": baseline.name})
    suiting = data.kind.choose(images=("linear", "convnet"), features=("linear",), texts=("words",))
    suiting = () if data.features else suiting
    others = {n: m for n, m in cfg.baselines.items() if m != cfg.model and (n in suiting or n not in SHIPPED)}
    trained = {
        name: cast(DictConfig, OmegaConf.merge(cfg, {"model": None}, {"model": model}))
        for name, model in {**others, "model": cfg.model}.items()
    }
    passes = {"train.epochs": _passes(cfg, data, trained, run)}
    return baselines + [_train(change(with_model, passes), name, data, run) for name, with_model in trained.items()]


def _passes(cfg: DictConfig, data: Data, trained: dict[str, DictConfig], run: Run) -> float:
    """Of each training: conf's, or as many as there is room for in the stage's budget."""
    epochs = float(cfg.train.epochs)
    if cfg.budget is None:
        return epochs
    costs = {name: cost_of(with_model, data, {}) for name, with_model in trained.items()}
    budget = Budget(cfg.budget, costs["model"])
    if (total := cfg.seeds * sum(costs.values())) <= budget.left:
        return epochs
    fewer = round(max(LEAST_PASSES, epochs * budget.left / total), 1)
    budget.left_out = [f"the passes after {fewer:g} of {epochs:g}"]
    run.note(budget.sentence("baseline"))
    return min(epochs, fewer)


def _train(cfg: DictConfig, name: str, data: Data, run: Run) -> Baseline:
    configured = name == "model"
    name = cfg.model._target_.rsplit(".", 1)[-1] if configured else name
    seeds = lane_seeds(cfg)
    trained = build.train(cfg, data, [build.lane(cfg, data, seed) for seed in seeds], run, name, watch=WATCHED)
    for seed, lane in zip(seeds, trained, strict=True):
        run.lane(f"{name} seed {seed}", lane, {"model": name, "seed": seed}, main=configured and seed == seeds[0])
    first = trained[0]
    dynamics = [(row["epoch"], outputs.cpu()) for row, outputs in zip(first.curve, first.watched, strict=True)]
    front = {f"train.{key}": cfg.train[key] for key in ("input_size", "quantiles")}
    changes = {"model": plain(cfg, "model")} | front
    net = build.model(cfg, data, seeds[0])
    val_outputs = [outputs(_loaded(net, t.last), data.val.x) for t in trained if not t.lost]
    return Baseline(name, trained, dynamics, changes, val_outputs)


def _loaded(net: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    net.load_state_dict(weights)
    return net


# ---- compared example by example -----------------------------------------------------------------------------


def subject_of(cfg: DictConfig, data: Data, baselines: list[Baseline]) -> Baselines:
    """What the baseline stage's checks look at; baselines: the constant first, the configured model last."""
    named = {b.name: b for b in baselines[:-1]}
    constant, model = baselines[0], baselines[-1]
    return Baselines(
        scores=[b.score() for b in baselines],
        regularizers=regularizers(cfg),
        lost=[t.ended for b in baselines for t in b.trained if t.lost],
        over_constant=over_constant(data, model, constant) if model.val_outputs else None,
        over_linear=lower_loss(data, model, next((named[n] for n in LINEAR if n in named), None)),
        over_boosting=lower_loss(data, model, named.get(BOOSTING)),
        words=_words(data),
        tabular=data.kind.has_columns,
    )


def _words(data: Data) -> tuple[list[int], int] | None:
    tokenizer = data.tokenizer
    if not isinstance(tokenizer, Words) or tokenizer.length is None:
        return None
    return tokenizer.lengths(data.train.texts + data.val.texts), tokenizer.length


def over_constant(data: Data, model: Baseline, constant: Baseline) -> Estimate:
    """The share of the constant's negative log-likelihood on val that the model saves; mean over seeds.

    The model's confidence does not count: its outputs are shrunk towards the constant's as far as that lowers its loss,
    since a model that was trained for too long is right but overconfident. The standard error is over examples.
    """
    y, (prior,) = data.val.y, constant.val_outputs
    worse = data.task.output_losses(prior.double(), y)
    better = torch.stack([_best_shrunk(data.task, z.double(), prior.double(), y) for z in model.val_outputs]).mean(0)
    return share_saved(better, worse, data.task.squares)


def _best_shrunk(task: Task, z: Tensor, prior: Tensor, y: Tensor) -> Tensor:
    """The losses (N,) of outputs z, mixed with the prior's in the proportion that has the lowest mean loss."""
    losses = [task.output_losses(kept * z + (1 - kept) * prior, y) for kept in power.CONFIDENCE_KEPT]
    return min(losses, key=lambda each: each.mean().item())


def lower_loss(data: Data, model: Baseline, other: Baseline | None) -> Estimate | None:
    """By how much the model's loss on val is below the other's, mean over seeds; None where one has no outputs."""
    if other is None or not other.val_outputs or not model.val_outputs:
        return None
    of_model, of_other = (
        torch.stack([data.task.output_losses(z, data.val.y) for z in baseline.val_outputs]).mean(0)
        for baseline in (model, other)
    )
    return paired(of_model, of_other)
