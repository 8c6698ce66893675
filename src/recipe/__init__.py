"""Karpathy's recipe for training neural networks as a pipeline that refuses to skip a step."""

import os
from importlib import import_module
from typing import Any

# Before torch is imported: OpenMP's busy waiting makes two threads slower than one wherever a core is taken.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

__all__ = ["Declare", "RecipeError", "Setup", "examine", "training", "watch"]
_MODULES = {
    "Declare": "recipe.checks.declare",
    "RecipeError": "recipe.errors",
    "Setup": "recipe.checks.setup",
    "examine": "recipe.checks.examine",
    "training": "recipe.pytest_plugin",
    "watch": "recipe.watching.watch",
}


def __getattr__(name: str) -> Any:
    """The library's public names, imported at first use: a stage that needs no torch does not load it."""
    if name not in _MODULES:
        raise AttributeError(f"module 'recipe' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)
