"""Karpathy's recipe for training neural networks as a pipeline that refuses to skip a step."""

import os

# Before torch is imported: OpenMP's busy waiting makes two threads slower than one wherever a core is taken.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

__all__ = ["Declare", "RecipeError", "Setup", "examine"]
FROM = {
    "Declare": "recipe.checks.declare",
    "RecipeError": "recipe.errors",
    "Setup": "recipe.checks.setup",
    "examine": "recipe.checks.examine",
}


def __getattr__(name: str):
    """The library's face, imported when asked for: a stage that needs no torch does not wait for it."""
    from importlib import import_module

    if name not in FROM:
        raise AttributeError(f"module 'recipe' has no attribute '{name}'")
    return getattr(import_module(FROM[name]), name)
