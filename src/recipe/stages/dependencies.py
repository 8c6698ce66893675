"""What a stage depends on, and whether it is still what DVC recorded or is about to record.

DVC hashes dependencies after the command (treeverse/dvc#11058), so a change meanwhile would count as seen by the stage.
"""

import os
from pathlib import Path

from omegaconf import DictConfig

from recipe.config import code_manifest
from recipe.config.compose import load
from recipe.config.instantiate import plain_all
from recipe.errors import RecipeError
from recipe.files import digest, present


def in_dvc(stage: str) -> bool:
    """Whether DVC runs this stage; else a user has started its script."""
    return os.environ.get("DVC_STAGE") == stage


def tracked_files(stage: str) -> list[str]:
    """The stage's code, data and config as dvc.yaml and its manifest list them; empty where DVC does not run it."""
    return [*_deps(stage), *_composed_code(stage)] if in_dvc(stage) else []


def code_and_data(stage: str, cfg: DictConfig) -> dict[str, str]:
    """{file: hash} of what a stage with this config depends on, however it was started."""
    data = [path for path in _deps(stage) if not path.startswith("resolved/")]
    return digest(data) | code_manifest.code(stage, plain_all(cfg), Path.cwd())


def require_composed_code(stage: str, hashes: dict[str, str]) -> None:
    """Raises RecipeError for code that was edited after the compose stage listed it: DVC would record the older one."""
    composed = _composed_code(stage) if in_dvc(stage) else {}
    if changed := sorted(file for file, content in composed.items() if hashes.get(file) != content):
        raise RecipeError(f"{changed[0]} changed since the compose stage listed this stage's code. Run `dvc repro`.")


def require_unchanged(tracked: list[str], before: dict[str, str]) -> None:
    """Raises RecipeError where a file changed while the stage was running."""
    if changed := sorted(path for path, _ in digest(tracked).items() ^ before.items()):
        raise RecipeError(
            f"{changed[0]} changed while the stage was running, so its result belongs to neither version. "
            "Run `dvc repro` again."
        )


def _deps(stage: str) -> list[str]:
    return list(load(Path("dvc.yaml"))["stages"][stage].get("deps", []))


def _composed_code(stage: str) -> dict[str, str]:
    """{file: hash} of the stage's code, as the compose stage listed it."""
    return code_manifest.read_manifest(present(Path("resolved", f"{stage}.code")))
