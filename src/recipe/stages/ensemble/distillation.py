"""One network of a member's size, taught by the ensemble (Hinton, Vinyals and Dean 2015, Distilling the knowledge).

The members have nearly learned the training set by heart, so their probabilities there are nearly one-hot. The
temperature of the teacher brings out which wrong classes it considers less wrong. With augmentation, the student sees
changed inputs with the teacher's probabilities for the unchanged ones.
"""

from dataclasses import replace
from functools import partial

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

from recipe.data.batches import Data
from recipe.experiment import build
from recipe.metrics.calibration import tempered
from recipe.metrics.scores import weighted
from recipe.stages.ensemble.member_weights import MemberWeights
from recipe.stages.ensemble.members import BEST, Member, probabilities, saved_probabilities, stops_early
from recipe.stages.runner import Run
from recipe.train.checkpoint import save_weights
from recipe.train.lanes import is_cross_entropy

FILE = "members/student.safetensors"


def distillation_loss(temperature: float, outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of softened outputs (B, K) against the teacher's softened probabilities (B, K).

    Times the temperature squared, since the gradients shrink by it. Against labels (B,), as in evaluation, it is the
    plain cross-entropy.
    """
    if targets.ndim < outputs.ndim:
        return F.cross_entropy(outputs, targets)
    return temperature**2 * F.cross_entropy(outputs / temperature, targets)


def distil(cfg: DictConfig, data: Data, pool: list[Member], weights: MemberWeights, run: Run) -> Member | None:
    """The student: the best configuration with a new seed, trained on the probabilities of the chosen members.

    None where conf turns it off, and, with a message, where the loss takes no probabilities or the training was lost.
    """
    if not cfg.distil:
        return None
    if not is_cross_entropy(build.loss(cfg, data)) or build.user_step(cfg):
        run.say("student: left out, the loss is not cross-entropy or the training step is user-defined")
        return None
    teacher, member, seed = _teacher(cfg, data, pool, weights, run), pool[0], 100 * cfg.seed + 49
    temperature = cfg.distillation_temperature
    lane = build.lane(cfg, data, seed, member.changes)
    lane.loss = partial(distillation_loss, temperature)
    soft = tempered(teacher, temperature).float().to(data.train.y.device)
    (trained,) = build.train(cfg, replace(data, train=replace(data.train, y=soft)), [lane], run, "student")
    early = stops_early(cfg, member.changes)
    params = {**member.changes, "seed": seed, "distillation_temperature": temperature}
    run.lane("student", trained, params, early_stopping=early)
    if trained.lost:
        return None
    lane.model.load_state_dict(trained.weights(early))
    save_weights(lane.model.state_dict(), run.out / FILE)
    return Member(
        arm=f"{BEST}, distilled", changes=member.changes, seed=seed, file=FILE, trained=trained, early_stopping=early,
        p_val=probabilities(lane.model, data.val),
    )  # fmt: skip


def _teacher(cfg: DictConfig, data: Data, pool: list[Member], weights: MemberWeights, run: Run) -> Tensor:
    """The chosen members' mean probabilities on the training set (N, K)."""
    used = [i for i, n in enumerate(weights.counts) if n]
    p = [saved_probabilities(cfg, data, pool[i].changes, run.out / pool[i].file, data.train) for i in used]
    return weighted(torch.stack(p), [weights.counts[i] for i in used])
