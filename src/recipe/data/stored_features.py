"""The features of a frozen network as the stage `embed` writes them: a row for each row of the store.

values.npy            (N, D) float32, opened as a memory map
backbone.json         the facts of the network, and the fingerprint of the store; an empty mapping where the model has
                      no such network, and then there are no other files
backbone.safetensors  its weights, which the final system takes along
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipe.errors import RecipeError
from recipe.files import present, read_json

FOLDER = Path("runs/embed/features")
VALUES, FACTS, WEIGHTS = "values.npy", "backbone.json", "backbone.safetensors"


@dataclass(frozen=True)
class StoredFeatures:
    """facts: recipe.models.backbone.Backbone.facts. window: height and width of the part of a stored image that entered
    the network; None: all of it."""

    folder: Path
    values: np.ndarray
    facts: dict[str, Any]
    window: tuple[int, int] | None = None

    @classmethod
    def of_store(cls, fingerprint: str, folder: Path = FOLDER) -> "StoredFeatures | None":
        """Of whichever network; None where the model has none. Raises RecipeError for those of other data."""
        facts = read_json(folder / FACTS).get("backbone", {})
        return cls.open(facts["name"], fingerprint, folder) if facts else None

    @classmethod
    def open(
        cls, backbone: str, fingerprint: str, folder: Path = FOLDER, window: tuple[int, int] | None = None
    ) -> "StoredFeatures":  # fmt: skip
        """backbone: the name that the config chose. fingerprint: of the store. Raises RecipeError for those of another
        network or of other data."""
        content = read_json(folder / FACTS)
        facts = content.get("backbone", {})
        if facts.get("name") != backbone or content["store"] != fingerprint:
            of = facts.get("name", "no network")
            what = f"features of {of}, the configuration names {backbone}" if of != backbone else "those of other data"
            raise RecipeError(f"{folder} holds {what}. Choose the model in params.yaml and type `dvc repro embed`.")
        return cls(folder, np.load(present(folder / VALUES), mmap_mode="r", allow_pickle=False), facts, window)

    @property
    def weights(self) -> Path:
        return present(self.folder / WEIGHTS)
