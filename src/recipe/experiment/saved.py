"""Trained networks that a later stage compares with: their weights, and the changes that they are built from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from recipe.files import read_yaml, write_yaml
from recipe.train.checkpoint import save_weights
from recipe.train.lane import Trained

INDEX = "baselines.yaml"


class TrainedSystem(Protocol):
    """name: of the system. changes: what its network is built from; empty where it has none."""

    name: str
    trained: list[Trained]
    changes: dict


def save_baselines(folder: Path, baselines: Sequence[TrainedSystem]) -> None:
    """The weights of each baseline that is a network, of its first seed, and what they are built from."""
    rows = []
    for i, baseline in enumerate(b for b in baselines if b.changes):
        save_weights(baseline.trained[0].last, folder / f"{i}.safetensors")
        rows.append({"system": baseline.name, "weights": f"{i}.safetensors", "changes": baseline.changes})
    write_yaml(folder / INDEX, {"baselines": rows})


def read_baselines(folder: Path) -> list[dict]:
    """Of each saved baseline, the configured model last: system, weights (a path), changes."""
    content = cast(dict, read_yaml(folder / INDEX))
    return [row | {"weights": folder / row["weights"]} for row in content["baselines"]]
