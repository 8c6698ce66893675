"""The dumb baselines: constant, linear, a small conv net, and the chosen model, through one training and evaluation."""

from dataclasses import dataclass, field

import torch
from omegaconf import DictConfig, OmegaConf
from torch.nn.functional import cross_entropy

from recipe.config.compose import leaves
from recipe.config.instantiate import part, plain
from recipe.data.batches import Data
from recipe.experiment import build
from recipe.experiment.arms import lane_seeds, score
from recipe.metrics import power
from recipe.metrics.power import Estimate, paired, share_saved
from recipe.models.plain import Constant
from recipe.stages.baseline.checks import Baselines
from recipe.train.lane import Trained
from recipe.train.loop import classes_of, evaluate, outputs

WATCHED = 24  # validation examples whose predictions are followed


@dataclass
class Floor:
    """One system: its trainings, a seed each, and what it said on a fixed batch over time (seed 0).

    changes: what of it a network is built from, as `build.model` needs it; of the constant, nothing.
    """

    name: str
    trained: list[Trained]
    dynamics: list[tuple[int, torch.Tensor]]  # (step, probabilities (B, K))
    changes: dict
    on_val: list[torch.Tensor] = field(default_factory=list)  # outputs (N, K) of each seed's last weights

    def watched(self, data: Data) -> tuple[list[int], torch.Tensor, list[str]]:
        """(steps, probability of the right class (steps, B), labels) of the fixed batch."""
        labels = data.val.y[: len(self.dynamics[0][1])].cpu()
        right = torch.stack([p[torch.arange(len(labels)), labels] for _, p in self.dynamics])
        return [step for step, _ in self.dynamics], right, [data.classes[int(c)] for c in labels]

    def score(self) -> dict:
        return score(self.name, [t.curve[-1] for t in self.trained])


def simplified(cfg: DictConfig) -> dict[str, object]:
    """{key: value} of every regulariser that the configuration knows: all must be off before regularize."""
    every = leaves(cfg)
    keys = (
        "train.augment",
        "train.mixup",
        "train.decay",
        "train.patience",
        "train.early_stopping",
        "model.dropout",
        "model.dropout2d",
        "optimizer.weight_decay",
        "loss.label_smoothing",
    )
    return {k: every[k] for k in keys if k in every}


def constant(cfg: DictConfig, data: Data) -> Floor:
    """Not trained: the best constant answer is known."""
    model, loss = Constant(data.train.y, len(data.classes)).to(data.train.x.device), part(cfg, "loss")
    seen, unseen = evaluate(model, data.train, loss), evaluate(model, data.val, loss)
    row = {"step": 0, "train_loss": seen.loss, "train_accuracy": seen.accuracy}
    row |= {"val_loss": unseen.loss, "val_accuracy": unseen.accuracy}
    return Floor("constant", [Trained(curve=[row], ended="not trained")], [], {}, [unseen.logits])


def train_floors(cfg: DictConfig, data: Data, run) -> list[Floor]:
    """constant, then each of conf's floors that is not the chosen model itself, then the chosen model.

    Rows of features have no neighbouring pixels, so that the convnet is no floor for them.
    """
    floors = [constant(cfg, data)]
    run.lane("constant", floors[0].trained[0], {"model": "constant"})
    images = data.train.x.ndim == 4
    others = {n: m for n, m in cfg.floors.items() if m != cfg.model and (images or n != "convnet")}
    for name, model in {**others, "model": cfg.model}.items():
        floors.append(_train(OmegaConf.merge(cfg, {"model": None}, {"model": model}), name, data, run))
    return floors


def _train(cfg: DictConfig, name: str, data: Data, run) -> Floor:
    chosen = name == "model"
    name = cfg.model._target_.rsplit(".", 1)[-1] if chosen else name
    seeds = lane_seeds(cfg)
    trained = build.train(cfg, data, [build.lane(cfg, data, seed) for seed in seeds], run, name, watch=WATCHED)
    for seed, lane in zip(seeds, trained, strict=True):
        run.lane(f"{name} seed {seed}", lane, {"model": name, "seed": seed}, main=chosen and seed == seeds[0])
    first = trained[0]
    dynamics = [(row["step"], said.softmax(1).cpu()) for row, said in zip(first.curve, first.watched, strict=True)]
    changes = {"model": plain(cfg, "model"), "train.input_size": cfg.train.input_size}
    net = build.model(cfg, data, seeds[0])
    on_val = [outputs(load(net, t.last), data.val.x) for t in trained if not t.lost]
    return Floor(name, trained, dynamics, changes, on_val)


def load(net: torch.nn.Module, weights: dict) -> torch.nn.Module:
    net.load_state_dict(weights)
    return net


# ---- compared example by example -----------------------------------------------------------------------------


def subject_of(cfg: DictConfig, data: Data, floors: list[Floor]) -> Baselines:
    """What the baseline stage's checks look at; floors: the constant first, the chosen model last."""
    linear = next((f for f in floors[:-1] if f.name == "linear"), None)
    constant, model = floors[0], floors[-1]
    return Baselines(
        [f.score() for f in floors],
        simplified(cfg),
        [t.ended for f in floors for t in f.trained if t.lost],
        over_constant(data, model, constant) if model.on_val else None,
        over_linear(data, model, linear) if linear and linear.on_val and model.on_val else None,
        data.train.x.ndim == 2,
    )


def over_constant(data: Data, model: Floor, constant: Floor) -> Estimate:
    """The share of the constant's negative log-likelihood on val that the model saves; mean over seeds.

    How sure the answers are is no matter: outputs are drawn towards the constant's as far as that lowers their loss.
    A model that was trained too long is right, and too sure. The error is over examples.
    """
    y, (prior,) = classes_of(data.val.y), constant.on_val
    worse = cross_entropy(prior.double(), y, reduction="none")
    return share_saved(torch.stack([_at_best(z.double(), prior.double(), y) for z in model.on_val]).mean(0), worse)


def _at_best(z: torch.Tensor, prior: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    losses = [cross_entropy(sure * z + (1 - sure) * prior, y, reduction="none") for sure in power.SURE]
    return min(losses, key=lambda each: each.mean().item())


def over_linear(data: Data, model: Floor, linear: Floor) -> Estimate:
    """By how many nats the model's negative log-likelihood on val is below the linear one's; mean over seeds."""
    y = classes_of(data.val.y)
    means = [
        torch.stack([cross_entropy(z.double(), y, reduction="none") for z in f.on_val]).mean(0) for f in (model, linear)
    ]
    return paired(*means)


# ---- kept for the one comparison on test ---------------------------------------------------------------------
