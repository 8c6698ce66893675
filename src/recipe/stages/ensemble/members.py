"""The pool of networks that an ensemble can be made of: their configurations, trained, saved and read back."""

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from recipe.config.changes import change
from recipe.data.batches import Data, Split
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.stages.runner import Run
from recipe.tasks.task import Task
from recipe.train.checkpoint import load_weights, save_weights
from recipe.train.lane import Trained

BEST = "best recipe"


@dataclass(frozen=True)
class Member:
    """One network of the pool. file: its weights, in the stage's folder; p_val: its predictions on val (N, K)."""

    arm: str  # the name of its configuration
    changes: dict
    seed: int
    file: str
    trained: Trained
    early_stopping: bool
    p_val: Tensor

    def row(self) -> dict:
        return self.trained.row(self.early_stopping)


def configurations(best: dict, finished: list[dict], top: int) -> dict[str, dict]:
    """{name: changes}: the best one, and the first `top` others of those that the search trained to their end."""
    others = [changes for changes in finished if changes != best]
    return {BEST: best} | {f"trial {n}": changes for n, changes in enumerate(others[:top], 1)}


def train_pool(cfg: DictConfig, data: Data, best: dict, finished: list[dict], run: Run) -> list[Member]:
    """`cfg.members` seeds of the best configuration, then one of each other; writes weights to run.out/members/.

    best: its changes; finished: the changes of all that the search trained to their end, the best first. None of the
    seeds has chosen a configuration. A training that was lost is left out, with a message.
    """
    arms = configurations(best, finished, cfg.top)
    pairs = [(BEST, best)] * cfg.members + [(name, changes) for name, changes in arms.items() if name != BEST]
    seeds = [100 * cfg.seed + 50 + i for i in range(len(pairs))]
    lanes = [build.lane(cfg, data, seed, changes) for seed, (_, changes) in zip(seeds, pairs, strict=True)]
    trained = build.train(cfg, data, lanes, run, "members")
    pool: list[Member] = []
    for (arm, changes), seed, lane, result in zip(pairs, seeds, lanes, trained, strict=True):
        early = stops_early(cfg, changes)
        run.lane(f"{arm}, seed {seed}", result, {**changes, "seed": seed}, early_stopping=early, main=lane is lanes[0])
        if result.lost:
            run.say(f"{arm}, seed {seed}: left out, {result.ended}")
            continue
        lane.model.load_state_dict(result.weights(early))
        file = f"members/{len(pool)}.safetensors"
        save_weights(lane.model.state_dict(), run.out / file)
        pool.append(
            Member(
                arm=arm, changes=changes, seed=seed, file=file, trained=result, early_stopping=early,
                p_val=predictions(data.task, lane.model, data.val),
            )
        )  # fmt: skip
    if count_seeds(pool) < 2:
        raise RecipeError(
            f"fewer than two of {cfg.members} trainings of the best recipe came to their end ({trained[0].ended}); "
            "an ensemble needs two."
        )
    return pool


def count_seeds(pool: list[Member]) -> int:
    """How many members have the best configuration; they come first."""
    return sum(m.arm == BEST for m in pool)


def stack(pool: list[Member]) -> Tensor:
    """Predictions on val (M, N, K)."""
    return torch.stack([m.p_val for m in pool])


def best_member(task: Task, pool: list[Member], actual: Tensor) -> tuple[int, list[float]]:
    """(the number of the member with the lowest loss on val, the loss of each member there)."""
    losses = [task.losses(m.p_val, actual).mean().item() for m in pool]
    return min(range(len(pool)), key=losses.__getitem__), losses


def stops_early(cfg: DictConfig, changes: dict) -> bool:
    return bool(changes.get("train.early_stopping", cfg.train.early_stopping))


def predictions(task: Task, model: torch.nn.Module, split: Split) -> Tensor:
    """(N, K) float64, on the CPU."""
    model.eval()
    with torch.no_grad():
        return task.predict(torch.cat([model(x) for x in split.x.split(1000)])).cpu()


def saved_predictions(cfg: DictConfig, data: Data, changes: dict, weights: Path, split: Split) -> Tensor:
    """(N, K): predictions on `split` of a network that is read from its file."""
    net = load_weights(build.model(change(cfg, changes), data, seed=0), weights)
    return predictions(data.task, net, split)
