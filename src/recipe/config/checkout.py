"""`dvc exp run --temp` and `--queue` run in a checkout of git and DVC: what neither holds is left behind.

There a file is missing that the user sees in the workspace, so a message says why, and what to do.
"""

import os
from pathlib import Path

WHERE = "an experiment with --temp or --queue runs in a checkout"


def workspace(here: Path) -> Path:
    """The folder in which `dvc` was started: DVC names it to a stage, also to one that runs in a checkout."""
    return Path(os.environ.get("DVC_ROOT") or here).resolve()


def left_behind(path: Path | str, here: Path) -> bool:
    """Whether the workspace has this file or folder, and the checkout `here` that an experiment runs in has not."""
    return not Path(path).is_absolute() and (workspace(here) / path).exists() and not (here / path).exists()


def configs_left_behind(here: Path) -> list[Path]:
    """The files of the workspace's conf/ that the checkout `here` lacks, in a stable order."""
    files = sorted(file.relative_to(workspace(here)) for file in (workspace(here) / "conf").rglob("*.yaml"))
    return [file for file in files if left_behind(file, here)]


def not_in_git(*paths: Path | str) -> str:
    """What to do about code or configs that were left behind."""
    names = [str(path) for path in paths]
    verb = "is" if len(names) == 1 else "are"
    return (
        f"{', '.join(names)} {verb} not in git, and {WHERE} of it: git add {' '.join(names)}, "
        "or run without --temp and --queue."
    )


def not_in_dvc(path: Path | str, here: Path) -> str:
    """What to do about data that were left behind."""
    if (here / f"{path}.dvc").exists():
        return f"{path} is in DVC, which checks out only the target's files here: leave the target out."
    return (
        f"{path} is not in DVC or git, and {WHERE} of them: "
        f"dvc add {path}, and git add the .dvc file that it writes; or run without --temp and --queue."
    )
