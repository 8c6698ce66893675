"""A pretrained network and its head as one model, of which the last block or all layers are trained."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from recipe.errors import RecipeError
from recipe.models.backbone import Backbone
from recipe.models.encoder import Encoder

NONE, LAST, ALL = "none", "last", "all"
WORDS = NONE, LAST, ALL
# Of the configured learning rate, which is that of the last layer of the body: the head is new, and has few steps
HEAD = 10.0
# From a layer to the one below it the rate falls by this factor (Howard and Ruder 2018, Universal language model
# fine-tuning, section 3.2, have 1 / 2.6; Clark et al. 2020, ELECTRA, 0.8 of 12 layers). What is near the input is the
# most general.
DECAY = 0.9
UNUSED = ("pooler.",)  # parts of a network that the features do not use


def require_word(unfreeze: object) -> str:
    """`model.unfreeze` of a config. Raises RecipeError for another word."""
    if unfreeze not in WORDS:
        raise RecipeError(
            f"`model.unfreeze: {unfreeze}` is not one of {', '.join(WORDS)}. {NONE}: the head alone is trained; "
            f"{LAST}: the last block of the network too; {ALL}: all of its layers."
        )
    return str(unfreeze)


class FineTuned(nn.Module):
    """Inputs -> (B, K): preparation, body, standardisation of the features, head.

    The inputs are images (B, C, H, W) in 0..1, or tokens (B, L) as Encoder.outputs has them. The body stays in eval
    mode: statistics of batch norm stay those of the pretraining, and nothing is dropped. Its state has all of it.
    """

    mean: Tensor
    std: Tensor
    limits: Tensor

    def __init__(
        self, backbone: Backbone | Encoder, head: nn.Module, unfreeze: str, window: tuple[int, int] | None = None
    ):  # fmt: skip
        """window: height and width of the part of an image that enters. The buffers mean and std (D,) and limits (2, D)
        are to be filled, as data.streaming.Standardization has them of the training features."""
        super().__init__()
        self.body = copy.deepcopy(backbone.net)
        self.backbone, self.window = replace(backbone, net=self.body), window
        size = backbone.width
        for name, start in (("mean", torch.zeros(size)), ("std", torch.ones(size)), ("limits", torch.zeros(2, size))):
            self.register_buffer(name, start)
        self.head = head
        trained = layers(self.body)
        for layer in trained[-1:] if unfreeze == LAST else trained:
            for weight in layer:
                weight.requires_grad_(True)
        self.train()

    def train(self, mode: bool = True) -> "FineTuned":
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits

    def features(self, x: Tensor) -> Tensor:
        """(B, D), standardised, as the head takes them."""
        of = self.backbone
        features = of.outputs(x, self.window) if isinstance(of, Backbone) else of.outputs(x)
        return ((features - self.mean) / self.std).clamp(*self.limits)

    def rates(self) -> Iterator[tuple[list[nn.Parameter], float]]:
        """(weights that are trained, factor of the learning rate): of the head, then of each layer of the body, the
        last one first."""
        yield [p for p in self.head.parameters() if p.requires_grad], HEAD
        for depth, layer in enumerate(reversed(layers(self.body))):
            if trained := [weight for weight in layer if weight.requires_grad]:
                yield trained, DECAY**depth


def layers(body: nn.Module) -> list[list[nn.Parameter]]:
    """The weights of a network by layer, from the input on: by their names up to the first number, as `blocks.3` and
    `encoder.layer.5`. What comes before the first numbered one is a layer; what follows one, as a norm, belongs to it.
    """
    found: dict[str, list[nn.Parameter]] = {}
    at = ""
    for name, weight in body.named_parameters():
        if name.startswith(UNUSED):
            continue
        words = name.split(".")
        number = next((i for i, word in enumerate(words) if word.isdigit()), None)
        at = at if number is None else ".".join(words[: number + 1])
        found.setdefault(at, []).append(weight)
    return list(found.values())
