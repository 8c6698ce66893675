"""One network of a member's size, taught by the ensemble (Hinton, Vinyals and Dean 2015, Distilling the knowledge).

The teacher's predictions are the student's targets. The members have nearly learned the training set by heart, so of
classes their probabilities there are nearly one-hot: the temperature of the teacher brings out which wrong classes it
considers less wrong. With augmentation, the student sees changed inputs with the predictions for the unchanged ones.
With folds, teacher and student are of the first fold, so that neither was trained on val.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from recipe.data.batches import Data
from recipe.experiment import build
from recipe.metrics.scores import weighted
from recipe.stages.ensemble.member_weights import MemberWeights
from recipe.stages.ensemble.members import BEST, Member, predictions, saved_predictions, stops_early
from recipe.stages.runner import Run
from recipe.tasks.task import Task
from recipe.train.checkpoint import save_weights
from recipe.train.lanes import is_cross_entropy

FILE = "members/student.safetensors"


def distil(cfg: DictConfig, data: Data, pool: list[Member], weights: MemberWeights, run: Run) -> Member | None:
    """The student: the best configuration with a new seed, trained on the predictions of the chosen members.

    None where conf turns it off, and, with a message, where the loss is not the usual one or the training was lost.
    """
    if not cfg.distil:
        return None
    if not _is_usual(build.loss(cfg, data), data.task) or build.user_step(cfg):
        run.say("student: left out, the loss is not the usual one of the task or the training step is user-defined")
        return None
    teacher, member, seed = _teacher(cfg, data, pool, weights, run), pool[0], 100 * cfg.seed + 49
    temperature = cfg.distillation_temperature
    lane = build.lane(cfg, data, seed, member.changes)
    lane.loss = data.task.distillation_loss(temperature)
    soft = data.task.soft_targets(teacher, temperature).to(data.train.y.device)
    if lane.fold:
        lane.fold = replace(lane.fold, train=replace(lane.fold.train, y=soft))
    (trained,) = build.train(cfg, replace(data, train=replace(data.train, y=soft)), [lane], run, "student")
    early = stops_early(cfg, member.changes)
    params = {**member.changes, "seed": seed, "distillation_temperature": temperature}
    run.lane("student", trained, params, early_stopping=early)
    if trained.lost:
        return None
    lane.model.load_state_dict(trained.weights(early))
    save_weights(lane.model.state_dict(), run.out / FILE)
    return Member(
        arm=f"{BEST}, distilled", changes=member.changes, seed=seed, files=(FILE,), trained=(trained,),
        early_stopping=early, p_val=predictions(data, lane.model, data.val),
    )  # fmt: skip


def _is_usual(loss: Callable, task: Task) -> bool:
    """The task's own loss, which soft targets fit; of classes also one with label smoothing."""
    usual = task.usual_loss()
    return is_cross_entropy(loss) if isinstance(usual, nn.CrossEntropyLoss) else type(loss) is type(usual)


def _teacher(cfg: DictConfig, data: Data, pool: list[Member], weights: MemberWeights, run: Run) -> Tensor:
    """The chosen members' mean predictions on the training set (N, K)."""
    used = [i for i, n in enumerate(weights.counts) if n]
    p = [saved_predictions(cfg, data, pool[i].changes, run.out / pool[i].files[0], data.train) for i in used]
    return weighted(torch.stack(p), [weights.counts[i] for i in used])
