"""Weights as safetensors: no pickle is written or loaded."""

from pathlib import Path

from torch import Tensor, nn

from recipe.files import present, replacing


def save_weights(weights: dict[str, Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        save_file({name: t.contiguous().cpu() for name, t in weights.items()}, temporary)


def load_weights(model: nn.Module, path: Path) -> nn.Module:
    from safetensors.torch import load_file

    model.load_state_dict(load_file(present(path)))
    return model
