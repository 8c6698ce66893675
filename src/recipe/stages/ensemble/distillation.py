"""One network of a member's size, taught by the ensemble (Hinton, Vinyals and Dean 2015, Distilling the knowledge).

The members have learned the training set nearly by heart, so that what they say of it is nearly one-hot; a temperature
of the teacher brings out which wrong classes it finds less wrong. With augmentation, the student sees changed inputs,
while the teacher said what it thinks of the plain ones.
"""

from dataclasses import replace
from functools import partial

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

from recipe.config.instantiate import part
from recipe.data.batches import Data
from recipe.experiment import build
from recipe.metrics.calibration import tempered
from recipe.metrics.scores import weighted
from recipe.stages.ensemble.member_weights import Choice
from recipe.stages.ensemble.members import BEST, Member, probabilities, said, stops_early
from recipe.train.checkpoint import save_weights
from recipe.train.lanes import is_cross_entropy

FILE = "members/student.safetensors"


def taught(temperature: float, outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of softened outputs (B, K) against the teacher's softened probabilities (B, K).

    Times the temperature squared, since the gradients shrink by it. Against labels (B,), as in evaluation: as always.
    """
    if targets.ndim < outputs.ndim:
        return F.cross_entropy(outputs, targets)
    return temperature**2 * F.cross_entropy(outputs / temperature, targets)


def distil(cfg: DictConfig, data: Data, pool: list[Member], choice: Choice, run) -> Member | None:
    """The student: the best configuration with a fresh seed, on what the chosen members say of the training set.

    None where it cannot be, which is said: a loss that takes no probabilities, or a training that was lost.
    """
    if not is_cross_entropy(part(cfg, "loss")) or build.own_step(cfg):
        run.say("student: left out, the loss is not cross-entropy or the training step is a person's own")
        return None
    used = [i for i, n in enumerate(choice.times) if n]
    p = torch.stack([said(cfg, data, pool[i].changes, run.out / pool[i].file, data.train) for i in used])
    teacher, member, seed = weighted(p, [choice.times[i] for i in used]), pool[0], 100 * cfg.seed + 49
    lane = build.lane(cfg, data, seed, member.changes)
    lane.loss = partial(taught, cfg.distillation_temperature)
    soft = tempered(teacher, cfg.distillation_temperature).float().to(data.train.y.device)
    (trained,) = build.train(cfg, replace(data, train=replace(data.train, y=soft)), [lane], run, "student")
    early = stops_early(cfg, member.changes)
    run.lane(
        "student",
        trained,
        {**member.changes, "seed": seed, "distillation_temperature": cfg.distillation_temperature},
        early_stopping=early,
    )
    if trained.lost:
        return None
    lane.model.load_state_dict(trained.weights(early))
    save_weights(lane.model.state_dict(), run.out / FILE)
    p_val = probabilities(lane.model, data.val)
    return Member(f"{BEST}, distilled", member.changes, seed, FILE, trained, early, p_val)
