"""The pool of networks that an ensemble can be made of: which configurations, trained, saved, and read back."""

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from recipe.config.compose import change
from recipe.data.batches import Data, Split
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.train.checkpoint import load_weights, save_weights
from recipe.train.lane import Trained

BEST = "best recipe"


@dataclass(frozen=True)
class Member:
    """One network of the pool. file: its weights, in the stage's folder; p_val: its probabilities on val (N, K)."""

    arm: str  # the configuration's name
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


def train_pool(cfg: DictConfig, data: Data, found: dict[str, dict], run) -> list[Member]:
    """`cfg.members` seeds of the best configuration, then one of each other; weights go to run.out/members/.

    None of the seeds chose a configuration. A training that was lost is left out, and said.
    """
    arms = [(BEST, found[BEST])] * cfg.members + [(name, c) for name, c in found.items() if name != BEST]
    seeds = [100 * cfg.seed + 50 + i for i in range(len(arms))]
    lanes = [build.lane(cfg, data, seed, changes) for seed, (_, changes) in zip(seeds, arms, strict=True)]
    trained, pool = build.train(cfg, data, lanes, run, "members"), []
    for (arm, changes), seed, lane, result in zip(arms, seeds, lanes, trained, strict=True):
        early = stops_early(cfg, changes)
        run.lane(f"{arm}, seed {seed}", result, {**changes, "seed": seed}, early_stopping=early, main=lane is lanes[0])
        if result.lost:
            run.say(f"{arm}, seed {seed}: left out, {result.ended}")
            continue
        lane.model.load_state_dict(result.weights(early))
        file = f"members/{len(pool)}.safetensors"
        save_weights(lane.model.state_dict(), run.out / file)
        pool.append(Member(arm, changes, seed, file, result, early, probabilities(lane.model, data.val)))
    if sum(m.arm == BEST for m in pool) < 2:
        raise RecipeError(
            f"fewer than two of {cfg.members} trainings of the best recipe came to their end ({trained[0].ended}); "
            "an ensemble needs two."
        )
    return pool


def stops_early(cfg: DictConfig, changes: dict) -> bool:
    return bool(changes.get("train.early_stopping", cfg.train.early_stopping))


def probabilities(model: torch.nn.Module, part: Split) -> Tensor:
    """(N, K) float64, on the CPU."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(x) for x in part.x.split(1000)]).double().softmax(1).cpu()


def said(cfg: DictConfig, data: Data, changes: dict, weights: Path, part: Split) -> Tensor:
    """(N, K): what a network says of `part`, read anew from its file."""
    return probabilities(load_weights(build.model(change(cfg, changes), data, seed=0), weights), part)
