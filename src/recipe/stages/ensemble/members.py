"""The pool of networks that an ensemble can be made of: their configurations, trained, saved and read back.

With folds, a member of the pool is one network in each fold. It predicts a new example by the mean of its networks
(Breiman 1996, Stacked regressions; the bagging of AutoGluon, Erickson et al. 2020, and of many Kaggle winners), and an
example of train or val by the one network that was not trained on it: so it is chosen and calibrated on all of them. As
the mean of several networks is better than one, intervals that are calibrated so are a little wide (Barber et al. 2021,
Predictive inference with the jackknife+).
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from recipe.config.changes import change
from recipe.data.batches import Data, Split
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.experiment.budget import budget_of
from recipe.experiment.saved import read_trainings
from recipe.formatting import count
from recipe.stages.runner import Run
from recipe.tasks.task import Task
from recipe.train.checkpoint import load_weights, save_weights
from recipe.train.lane import Trained

BEST = "best recipe"
LEAST = 2  # networks of the best recipe


@dataclass(frozen=True)
class Member:
    """One network of the pool, or with folds one in each. seed: of the first; the others have the next ones.

    files: their weights, in the stage's folder. p_val: predictions (N, K) of the validation parts, fold by fold, each
    by the network of that fold; of a network of the first fold alone, of val.
    """

    arm: str  # the name of its configuration
    changes: dict
    seed: int
    files: tuple[str, ...]
    trained: tuple[Trained, ...]
    early_stopping: bool
    p_val: Tensor

    def rows(self) -> list[dict]:
        return [trained.row(self.early_stopping) for trained in self.trained]


def configurations(best: dict, finished: list[dict], top: int) -> dict[str, dict]:
    """{name: changes}: the best one, and the first `top` others of those that the search trained to their end."""
    others = [changes for changes in finished if changes != best]
    return {BEST: best} | {f"trial {n}": changes for n, changes in enumerate(others[:top], 1)}


def train_pool(
    cfg: DictConfig, data: Data, best: dict, finished: list[dict], run: Run,
    trainings: Path | str | None = None,
) -> list[Member]:  # fmt: skip
    """`cfg.members` seeds of the best configuration, then one of each other; writes weights to run.out/members/.

    best: its changes; finished: the changes of all that the search trained to their end, the best first. None of the
    seeds has chosen a configuration. A training that was lost is left out, with a message. With folds there are about
    as many networks as without, and so fewer members; of the best configuration two at least. trainings: a folder with
    those by which the best configuration was chosen: members where the budget has no room for as many new ones.
    """
    parts = data.parts
    known = {} if data.folds or trainings is None else read_trainings(Path(trainings), best, data.objective)
    new, top = (math.ceil(number / len(parts)) for number in _within_budget(cfg, data, best, run, len(known)))
    known = dict(list(known.items())[: cfg.members - new])
    members = max(LEAST, new + len(known))
    arms = configurations(best, finished, top)
    pairs = [(BEST, best)] * members + [(name, changes) for name, changes in arms.items() if name != BEST]
    seeds = [*known, *(100 * cfg.seed + 50 + i for i in range(len(pairs) * len(parts) - len(known)))]
    changes_of = [changes for _, changes in pairs for _ in parts]
    fold_of = [fold for _ in pairs for fold in data.folds or (None,)]
    lanes = [
        build.lane(cfg, fold or data, seed, changes, fold=fold)
        for seed, changes, fold in zip(seeds, changes_of, fold_of, strict=True)
    ]
    trained = [*known.values(), *build.train(cfg, data, lanes[len(known) :], run, "members")]
    pool: list[Member] = []
    for n, (arm, changes) in enumerate(pairs):
        early, its = stops_early(cfg, changes), range(n * len(parts), (n + 1) * len(parts))
        for i in its:
            params = {**changes, "seed": seeds[i]}
            run.lane(f"{arm}, seed {seeds[i]}", trained[i], params, early_stopping=early, main=i == 0)
        if lost := [trained[i].ended for i in its if trained[i].lost]:
            run.say(f"{arm}, seed {seeds[its[0]]}: left out, {lost[0]}")
            continue
        files: list[str] = []
        p_val: list[Tensor] = []
        for i, part in zip(its, parts, strict=True):
            lanes[i].model.load_state_dict(trained[i].weights(early))
            files.append(f"members/{len(pool)}{f'_{len(files)}' if data.folds else ''}.safetensors")
            save_weights(lanes[i].model.state_dict(), run.out / files[-1])
            p_val.append(predictions(part, lanes[i].model, part.val))
        pool.append(
            Member(
                arm=arm, changes=changes, seed=seeds[its[0]], files=tuple(files),
                trained=tuple(trained[i] for i in its), early_stopping=early, p_val=torch.cat(p_val),
            )
        )  # fmt: skip
    if count_seeds(pool) < LEAST:
        raise RecipeError(
            f"fewer than two of {members} trainings of the best recipe came to their end ({trained[0].ended}); "
            "an ensemble needs two."
        )
    return pool


def _within_budget(cfg: DictConfig, data: Data, best: dict, run: Run, known: int) -> tuple[int, int]:
    """New trainings of the best configuration, and other configurations, as many as the stage's budget has room for.

    known: trainings of the best configuration that there are; they make up for new ones.
    """
    budget = budget_of(cfg, data, best)
    new = budget.number(cfg.members, budget.training, 1.0, max(0, LEAST - known))
    top = budget.number(new + cfg.top, budget.training, 1.0, new) - new
    reused = min(known, cfg.members - new)
    for kept, all_, what in ((new + reused, cfg.members, "members"), (top, cfg.top, "other configurations")):
        if kept < all_:
            budget.left_out.append(f"{all_ - kept} of {all_} {what}")
    run.note(budget.sentence("ensemble"))
    if reused:
        run.note(
            f"{count(reused, 'member')} {'is a training' if reused == 1 else 'are trainings'} of regularize, since the "
            "budget has no room for new ones. They helped to choose the recipe on validation, so that scores there are "
            "a little too good; those on test are not."
        )
    return new, top


def count_seeds(pool: list[Member]) -> int:
    """How many members have the best configuration; they come first."""
    return sum(m.arm == BEST for m in pool)


def stack(pool: list[Member]) -> Tensor:
    """Predictions on val, or on all validation parts (M, N, K)."""
    return torch.stack([m.p_val for m in pool])


def best_member(task: Task, pool: list[Member], actual: Tensor) -> tuple[int, list[float]]:
    """(the number of the member with the lowest loss on val, the loss of each member there)."""
    losses = [task.losses(m.p_val, actual).mean().item() for m in pool]
    return min(range(len(pool)), key=losses.__getitem__), losses


def stops_early(cfg: DictConfig, changes: dict) -> bool:
    return bool(changes.get("train.early_stopping", cfg.train.early_stopping))


def predictions(data: Data, model: torch.nn.Module, split: Split) -> Tensor:
    """(N, K) float64, on the CPU."""
    x = build.entering(data, model, split).x
    model.eval()
    with torch.no_grad():
        return data.task.predict(torch.cat([model(part) for part in x.split(1000)])).cpu()


def saved_predictions(cfg: DictConfig, data: Data, changes: dict, weights: Path, split: Split) -> Tensor:
    """(N, K): predictions on `split` of a network that is read from its file."""
    net = load_weights(build.model(change(cfg, changes), data, seed=0), weights)
    return predictions(data, net, split)


def member_on_test(cfg: DictConfig, data: Data, member: Member, folder: Path, test: Split) -> Tensor:
    """(N, K): the mean of its networks, each of which gets the examples standardised like its fold."""
    p = [
        saved_predictions(cfg, part, member.changes, folder / file, split)
        for part, file, split in zip(data.parts, member.files, test.parts, strict=False)
    ]
    return torch.stack(p).mean(0)
