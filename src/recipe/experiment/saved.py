"""Trained networks that a later stage compares with: their weights, and the changes that they are built from."""

from pathlib import Path

from recipe.files import read_yaml, write_yaml
from recipe.train.checkpoint import save_weights


def save_floors(folder: Path, floors: list) -> None:
    """The trained floors' weights, of their first seed, and what they are built from."""
    listed = []
    for i, floor in enumerate(f for f in floors if f.changes):
        save_weights(floor.trained[0].last, folder / f"{i}.safetensors")
        listed.append({"system": floor.name, "weights": f"{i}.safetensors", "changes": floor.changes})
    write_yaml(folder / "floors.yaml", {"floors": listed})


def saved_floors(folder: Path) -> list[dict]:
    """Of each trained floor, the chosen model last: system, weights (a path), changes."""
    return [f | {"weights": folder / f["weights"]} for f in read_yaml(folder / "floors.yaml")["floors"]]
