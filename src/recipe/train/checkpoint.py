"""Weights and unfinished trainings as safetensors: no pickle is written or loaded."""

import json
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from recipe.files import present, replacing
from recipe.train.lane import Trained

KINDS = "last", "best"


class Resumable(Protocol):
    """A group of lanes in training: steps done, and the tensors from which it resumes."""

    done: int

    def state(self) -> dict[str, Tensor]: ...


class Progress(NamedTuple):
    """Lanes in training, the steps done, the tensors from which they resume, and the results of all lanes."""

    alive: list[int]
    done: int
    state: dict[str, Tensor]
    results: dict[int, Trained]


def save_weights(weights: dict[str, Tensor], path: Path) -> None:
    with replacing(path) as temporary:
        save_file({name: t.contiguous().cpu() for name, t in weights.items()}, temporary)


def load_weights(model: nn.Module, path: Path) -> nn.Module:
    model.load_state_dict(load_file(present(path)))
    return model


def save_progress(path: Path, identity: list, alive: list[int], work: Resumable, results: dict[int, Trained]) -> None:
    """All that a group of lanes needs to resume with the same bits: lanes in training, and results of the others.

    Randomness depends on seeds and steps alone, so no generator's state is saved.
    """
    tensors = {f"work/{name}": t for name, t in work.state().items()} if alive else {}
    notes: dict[str, Any] = {"identity": identity, "alive": alive, "done": work.done, "results": {}}
    for i, result in results.items():
        notes["results"][i] = {name: getattr(result, name) for name in ("curve", "best_row", "ended", "seconds")}
        tensors |= {f"{i}/{kind}/{name}": t for kind in KINDS for name, t in getattr(result, kind).items()}
        if result.watched:
            tensors[f"{i}/watched"] = torch.stack(result.watched)
    with replacing(path) as temporary:
        tensors = {name: t.detach().contiguous().cpu().clone() for name, t in tensors.items()}
        save_file(tensors, temporary, {"notes": json.dumps(notes)})


def load_progress(path: Path, identity: list, device: torch.device | str) -> Progress | None:
    """None where the file does not exist, is broken or belongs to other lanes."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            notes = json.loads(file.metadata()["notes"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        return None
    if notes["identity"] != json.loads(json.dumps(identity)):
        return None
    results = {int(i): Trained(**saved) for i, saved in notes["results"].items()}
    state: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        owner, _, rest = name.partition("/")
        kind, _, leaf = rest.partition("/")
        if owner == "work":
            state[rest] = tensor
        elif kind == "watched":
            results[int(owner)].watched = list(tensor)
        else:
            getattr(results[int(owner)], kind)[leaf] = tensor
    return Progress(notes["alive"], notes["done"], state, results)
