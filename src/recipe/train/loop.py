"""The plain loop: shuffle, forward, backward, step; and one evaluation that counts every example."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from recipe.data.batches import Part, shuffled
from recipe.train import augment as augmentation
from recipe.train.chance import generator, seeded


@dataclass(frozen=True)
class Score:
    """Over every example of a split: mean loss (nats), accuracy (0 to 1), how many, and the outputs (N, K)."""

    loss: float
    accuracy: float
    count: int
    logits: Tensor


def evaluate(model: nn.Module, part: Part, loss_fn: Callable, batch_size: int = 1000) -> Score:
    """Scores `model` on all of `part` in eval mode, and leaves it in the mode it was in.

    The loss is computed once on all outputs, so a short last batch counts for what it is and the number does not
    depend on the batch size.
    """
    modes = {m: m.training for m in model.modules()}
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(x) for x in part.x.split(batch_size)])
        loss = loss_fn(logits, part.y).item()
        accuracy = (logits.argmax(1) == part.y).float().mean().item()
    for module, training in modes.items():
        module.training = training
    return Score(loss, accuracy, len(logits), logits)


def train_step(model, optimizer, x: Tensor, y: Tensor, loss_fn) -> Tensor:
    """Forward, backward, step; gives the loss before the step."""
    optimizer.zero_grad(set_to_none=True)
    loss = loss_fn(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def fit(
    model, part: Part, loss_fn, optimizer, *, steps: int, batch_size: int, seed: int, augment=None, step=None
) -> Iterator:
    """Trains for `steps` steps and yields (step from 1, loss) after each one; `step` is a person's own train_step.

    Data order, augmentation and dropout are drawn from `seed`, so that two trainings of one seed are the same bits.
    """
    done, epoch, one_step = 0, 0, step or train_step
    model.train()
    with seeded(seed, "train"):
        while done < steps:
            chance = generator(seed, "augment", epoch)
            for x, y in shuffled(part, batch_size, seed, epoch):
                x = augmentation.apply(augment, x, chance) if augment else x
                loss = one_step(model, optimizer, x, y, loss_fn)
                done += 1
                yield done, loss
                if done == steps:
                    break
            epoch += 1


@dataclass
class Trained:
    """One lane: its curve, and its weights at the last and at the best evaluation on val."""

    curve: list[dict] = field(default_factory=list)  # step, train_loss, val_loss, val_accuracy; two halves of val
    last: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_row: int = 0
    ended: str = "all steps done"
    seconds: float = 0.0  # for MLflow and the terminal alone: no time goes into a file that DVC hashes

    @property
    def lost(self) -> bool:
        """The loss was no longer finite."""
        return self.ended.startswith("the training loss is")

    def weights(self, early_stopping: bool) -> dict[str, Tensor]:
        return self.best if early_stopping else self.last

    def row(self, early_stopping: bool) -> dict:
        return self.curve[self.best_row if early_stopping else -1]


def train(
    model, train_part: Part, val: Part, loss_fn, optimizer, *,
    steps: int, batch_size: int, eval_every: int, seed: int, augment=None, enough: float = -math.inf,
    on_evaluation: Callable[[nn.Module, dict], bool | None] = lambda model, row: False, step=None,
) -> Trained:  # fmt: skip
    """`fit`, evaluated on the whole of train and val every `eval_every` steps, at the start and at the end.

    Ends early once the training loss is below `enough`, when `on_evaluation(model, row)` says True (pruning), or on
    a loss that is not finite: that lane is over, and says so.
    """
    lane, lowest, started = Trained(), math.inf, time.monotonic()
    halves = [Part(val.x[i::2], val.y[i::2], val.ids[i::2]) for i in (0, 1)]

    def look(n: int) -> bool:
        seen, unseen = evaluate(model, train_part, loss_fn), evaluate(model, val, loss_fn)
        # the two halves let early stopping be judged on examples that did not choose the step
        split = [loss_fn(unseen.logits[i::2], half.y).item() for i, half in enumerate(halves)]
        row = {"step": n, "train_loss": seen.loss, "train_accuracy": seen.accuracy, "val_loss": unseen.loss}
        row |= {"val_accuracy": unseen.accuracy, "val_loss_a": split[0], "val_loss_b": split[1]}
        lane.curve.append(row)
        return bool(on_evaluation(model, row))

    look(0)
    for n, loss in fit(
        model,
        train_part,
        loss_fn,
        optimizer,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        augment=augment,
        step=step,
    ):
        if n % eval_every and n != steps:
            continue
        if not math.isfinite(loss.item()):
            lane.ended = f"the training loss is {loss.item()} by step {n}"
            break
        enough_of_it = look(n)
        row = lane.curve[-1]
        if row["val_loss"] < lowest:
            lowest, lane.best_row, lane.best = row["val_loss"], len(lane.curve) - 1, copy_of(model)
        if row["train_loss"] < enough or enough_of_it:
            lane.ended = f"stopped at step {n}"
            break
    lane.last = copy_of(model)
    lane.best = lane.best or lane.last
    lane.seconds = time.monotonic() - started
    return lane


def copy_of(model: nn.Module) -> dict[str, Tensor]:
    """The weights and statistics as a copy: a plain state_dict would go on changing with the model."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
