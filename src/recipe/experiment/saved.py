"""Trained networks for a later stage: their weights, and the changes that they are built from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from safetensors.torch import load_file

from recipe.experiment.arms import Arm
from recipe.files import present, read_yaml, write_yaml
from recipe.metrics.objective import LOSS, Objective
from recipe.train.checkpoint import save_weights
from recipe.train.lane import Trained

INDEX, LIST = "baselines.yaml", "trainings.yaml"


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


def save_trainings(folder: Path, arm: Arm, seeds: Sequence[int]) -> None:
    """The trainings of an arm, which have the first of these seeds, with the weights that are read of them."""
    rows = []
    for seed, lane in zip(seeds, arm.lanes, strict=False):
        file = f"{seed}.safetensors"
        save_weights(lane.weights(arm.early_stopping), folder / file)
        rows.append({"seed": seed, "weights": file, "ended": lane.ended, "curve": lane.curve})
    write_yaml(folder / LIST, {"changes": arm.changes, "trainings": rows})


def read_trainings(folder: Path, changes: dict, objective: Objective = LOSS) -> dict[int, Trained]:
    """{seed: its training}, if the arm that was saved had these changes; else none. Its last and its best weights are
    those that were saved."""
    content = cast(dict, read_yaml(folder / LIST))
    trainings = {}
    for row in content["trainings"] if content["changes"] == changes else ():
        weights, curve = load_file(present(folder / row["weights"])), row["curve"]
        trainings[row["seed"]] = Trained(curve, weights, weights, objective.best_row(curve), row["ended"])
    return trainings
