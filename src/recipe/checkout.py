"""`dvc exp run --temp` and `--queue` run in a checkout of git and DVC: what neither holds is left behind.

There a file is missing that a person sees in front of them, so a message says why, and what to do.
"""

import os
from pathlib import Path

WHERE = "an experiment with --temp or --queue runs in a checkout"


def left_behind(path: Path | str, here: Path) -> bool:
    """Whether the workspace has this file or folder, and the checkout `here` that an experiment runs in has not."""
    workspace = Path(os.environ.get("DVC_ROOT") or here)  # DVC names the workspace, also to a stage in a checkout
    if Path(path).is_absolute() or workspace.resolve() == here.resolve():
        return False
    return (workspace / path).exists() and not (here / path).exists()


def not_in_git(path: Path | str) -> str:
    """What to do about code or a config that was left behind."""
    return f"{path} is not in git, and {WHERE} of it: git add {path}, or run without --temp and --queue."


def not_in_dvc(path: Path | str, here: Path) -> str:
    """What to do about data that were left behind."""
    if (here / f"{path}.dvc").exists():
        return f"{path} is in DVC, which checks out nothing but the target's own files here: leave the target out."
    return (
        f"{path} is not in DVC or git, and {WHERE} of them: "
        f"dvc add {path}, and git add the .dvc file that it writes; or run without --temp and --queue."
    )
