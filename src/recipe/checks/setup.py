"""What the checks look at: a person's training, as the parts it is made of."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from recipe.train import loop
from recipe.train.chance import generator, key, seeded


@dataclass(frozen=True)
class Declare:
    """What is meant, and so must not be taken for a mistake. What is declared is checked too."""

    frozen: tuple[str, ...] = ()  # prefixes of parameter names that must not move


@dataclass
class Setup:
    """A classification training: logits (B, C), integer targets (B,).

    `train` and `val` are map-style data sets of (input, target) without augmentation. `train_step` and `evaluate`, when
    given, are the code that is examined; else ours is.
    """

    model: Callable[[], nn.Module]  # a fresh model at each call
    loss: Callable[[Tensor, Tensor], Tensor]  # (outputs, targets) -> mean loss, 0-d
    train: object
    val: object
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    train_step: Callable = loop.train_step  # (model, optimizer, inputs, targets, loss) -> loss
    evaluate: Callable | None = None  # (model, DataLoader) -> float
    batch_size: int = 64
    classes: int | None = None
    declare: Declare = field(default_factory=Declare)
    waive: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    most: int = 2000  # examples that a check looks at

    @cached_property
    def seen(self) -> tuple[Tensor, Tensor]:
        """(inputs, targets) of at most `most` training examples, drawn evenly over the set."""
        return self._arrays(self.train)

    @cached_property
    def unseen(self) -> tuple[Tensor, Tensor]:
        return self._arrays(self.val)

    @cached_property
    def num_classes(self) -> int:
        """As told, else the number of outputs."""
        with torch.no_grad():
            return self.classes or self.fresh().eval()(self.seen[0][:2]).shape[1]

    @cached_property
    def device(self) -> torch.device:
        with seeded(self.seed, "init"):
            return next(iter(self.model().parameters()), torch.empty(0)).device

    def _arrays(self, dataset) -> tuple[Tensor, Tensor]:
        if isinstance(dataset, torch.utils.data.TensorDataset):
            x, y = dataset.tensors
            index = torch.arange(0, len(x), max(1, -(-len(x) // self.most)), device=x.device)
            x, y = x[index], y[index]
        else:
            index = range(0, len(dataset), max(1, -(-len(dataset) // self.most)))
            items = [dataset[i] for i in index]
            x = torch.stack([torch.as_tensor(item[0]) for item in items])
            y = torch.as_tensor([int(item[1]) for item in items])
        return x.to(self.device), y.to(self.device)

    def fresh(self, seed: int | None = None) -> nn.Module:
        """A new model in train mode whose weights depend on the seed alone."""
        with seeded(self.seed if seed is None else seed, "init"):
            return self.model().train()

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """A few training examples, as many classes among them as possible."""
        x, y = self.seen
        index = torch.argsort(_rank(y), stable=True)[:size]  # one of each class in turn
        return x[index], y[index]

    def batches(self, seed: int, inputs: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Training batches without end, each epoch in a new order; `inputs` in place of the real ones where given."""
        x, y = self.seen
        x = x if inputs is None else inputs
        epoch = 0
        while True:
            order = torch.randperm(len(y), generator=generator(seed, "order", epoch)).to(y.device)
            whole = order.split(self.batch_size)
            # a last batch of one example is no batch to batch norm
            yield from ((x[i], y[i]) for i in whole if len(i) > 1 or len(whole) == 1)
            epoch += 1

    def trained(self, steps: int, seed: int | None = None, inputs: Tensor | None = None):
        """(model, losses) after some steps of the person's own training step."""
        seed = self.seed if seed is None else seed
        model = self.fresh(seed)
        optimizer = self.optimizer(model)
        losses = []
        with seeded(seed, "train"):
            for _, (x, y) in zip(range(steps), self.batches(seed, inputs), strict=False):
                losses.append(float(self.train_step(model, optimizer, x, y, self.loss)))
        return model, losses

    def outputs(self, model: nn.Module, x: Tensor) -> Tensor:
        """In eval mode, without gradients, in pieces."""
        model.eval()
        with torch.no_grad():
            return torch.cat([model(part) for part in x.split(1000)])

    def noisy(self, share: float = 0.01) -> nn.Module:
        """A fresh model whose weights carry a little noise: a head that starts at zero would hide every dependency."""
        model = self.fresh()
        chance = torch.Generator().manual_seed(key(self.seed, "noise"))
        with torch.no_grad():
            for p in model.parameters():
                noise = torch.randn(p.shape, generator=chance).to(p)
                p.add_(noise, alpha=share * max(p.abs().mean().item(), share))
        return model.eval()


def _rank(y: Tensor) -> Tensor:
    """How many examples of the same class stand before each one."""
    rank = torch.zeros_like(y)
    for c in y.unique():
        rank[y == c] = torch.arange(int((y == c).sum()), device=y.device)
    return rank
