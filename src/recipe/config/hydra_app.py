"""A stage's script as a Hydra app: the command line is checked as a whole, then Hydra runs it in a new folder.

A single run writes to outputs/<stage>/<number>, job k of a multirun to outputs/<stage>/<number>/<k>; the overrides of
each are in its .hydra/overrides.yaml. DVC's form (-cp, -cn) names a config that the compose stage has checked.
"""

import argparse
import functools
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser  # private, for Hydra gives its parser nowhere else
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recipe.config.changes import leaves, nearest
from recipe.config.compose import check_choice, check_top, checked, compose, keys_of, register, root
from recipe.errors import RecipeError

WHERE = "the command line"
GRID = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"  # the sweeper whose jobs are known beforehand
MAX_NAMED_JOBS = 10  # jobs that a message names
FULL_ERROR = "HYDRA_FULL_ERROR"  # Hydra's switch: 1 lets an exception pass


def main(stage: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Decorator: `body(cfg)` becomes the script's entry point, a Hydra app on conf/<stage>.yaml and params.yaml."""

    def wrap(body: Callable[[DictConfig], Any]) -> Callable[[], None]:
        @functools.wraps(body)
        def entry() -> None:
            try:
                base = root()
                os.chdir(base)
                args = get_args_parser().parse_known_args()[0]
                multirun = _prepare(stage, args, base)
                app = hydra.main(version_base="1.3", config_path=str(base / "conf"), config_name=f"_{stage}")(body)
                _sweep(app) if multirun else app()
            except RecipeError as error:
                sys.exit(f"{stage}: {error}")

        return entry

    return wrap


def compose_cli(stage: str, words: list[str]) -> DictConfig:
    """The config of the stage's script when it is started with these overrides.

    Raises RecipeError as the script does.
    """
    return check_command_line(stage, words, root())[0]


def new_folder(parent: Path) -> Path:
    """Makes `parent`/<the next free number>. Processes that call it at the same time get a folder each."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(f.name) for f in parent.iterdir() if f.name.isdecimal()), default=0)
    while True:
        folder = parent / str(number)
        try:
            folder.mkdir()
        except FileExistsError:  # of a process that called it at the same time
            number += 1
        else:
            return folder


def _prepare(stage: str, args: argparse.Namespace, base: Path) -> bool:
    """Registers the config of a checked command line with a new folder; gives whether it is a multirun."""
    if args.config_path:
        if args.multirun or any(word.startswith("hydra.mode=") for word in args.overrides):
            raise RecipeError(f"-cp is DVC's form, for one run. A multirun is: python pipeline/{stage}.py -m KEY=1,2")
        return False
    prints_only = any((args.help, args.hydra_help, args.cfg, args.info, args.shell_completion))
    _, multirun = check_command_line(stage, args.overrides, base, multirun=args.multirun or prints_only)
    has_folder = any(word.startswith(("hydra.run.dir=", "hydra.sweep.dir=")) for word in args.overrides)
    if not prints_only and not has_folder:
        folder = {"dir": str(new_folder(Path("outputs", stage)))}
        register(stage, base, hydra={"run": folder, "sweep": folder})
    return multirun and not prints_only


def _sweep(app: Callable[[], Any]) -> None:
    """Runs a multirun. An exception here is the sweeper's or the launcher's: that of a job ends in the job."""
    before = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"  # else Hydra prints a stack trace and ends the process
    try:
        app()
    except KeyboardInterrupt:  # between two jobs; within one the job ends the process
        raise RecipeError("interrupted. The jobs that had ended are complete.") from None
    except Exception as error:  # of any sweeper
        if before == "1":
            raise
        raise RecipeError(f"the multirun stopped: {_message(error)} (Stack trace: set {FULL_ERROR}=1.)") from None
    finally:
        os.environ.pop(FULL_ERROR) if before is None else os.environ.update({FULL_ERROR: before})


# ---- the command line ------------------------------------------------------------------------------------------


def check_command_line(stage: str, words: list[str], base: Path, *, multirun: bool = False) -> tuple[DictConfig, bool]:
    """The config, without the words that give several values, and whether this is a multirun.

    Raises RecipeError for what Hydra or the stage would refuse later: an unknown name, a wrong type, or a job of a
    grid that cannot be composed.
    """
    check_top(base)
    known = set(leaves(compose(stage, base)))  # and registers the primary config
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(base / "conf"), version_base="1.3"):
        overrides = _parsed(words)
        _check_names(stage, overrides, known, base)
        single = [_word(o) for o in overrides if not o.is_sweep_override()]
        cfg, settings = _composed(stage, single)
        multirun = multirun or settings.mode == RunMode.MULTIRUN
        several = [_word(o) for o in overrides if o.is_sweep_override()]
        if several and not multirun:
            raise RecipeError(
                f"{WHERE}: `{several[0]}` gives several values. For a job with each of them add -m; for a list write "
                "key=[a,b]; for one text with a comma in it, put it in quotes: \"key='a,b'\""
            )
        if multirun:
            _require_folders(settings)
        if multirun and settings.sweeper._target_ == GRID:
            preset = [f"{key}={value}" for key, value in (settings.sweeper.params or {}).items()]
            _check_jobs(stage, _jobs([*_parsed(preset), *overrides]))
    return cfg, multirun


def _require_folders(settings: DictConfig) -> None:
    """Raises RecipeError where jobs would overwrite each other, or leave nothing by which they are counted."""
    sweep: Any = OmegaConf.to_container(settings.sweep, resolve=False)
    if "${" not in str(sweep["subdir"]):
        raise RecipeError(
            f"hydra.sweep.subdir is `{sweep['subdir']}` for every job, so each would overwrite the one before. "
            "Name the job in it, as in 'hydra.sweep.subdir=${hydra.job.num}', or leave it out."
        )
    if not settings.output_subdir:
        raise RecipeError(
            "hydra.output_subdir is null, but a multirun counts its jobs by what lies there. Leave it out."
        )


def _parsed(words: list[str]) -> list[Override]:
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    overrides = []
    for word in words:
        try:
            (override,) = parser.parse_overrides([word])
        except HydraException as error:
            reason = _message(error).removeprefix(f"Error parsing override '{word}' ").partition(" expecting {")[0]
            raise RecipeError(
                f"{WHERE}: `{word}` cannot be read ({reason}); write key=value, or with -m key=1,2 or key=range(1,4)"
            ) from None
        if not override.key_or_group:
            raise RecipeError(f"{WHERE}: `{word}` names no key; write key=value")
        overrides.append(override)
    return overrides


def _check_names(stage: str, overrides: list[Override], known: set[str], base: Path) -> None:
    """Keys and options, as those of params.yaml are checked: Hydra's messages list no names of keys."""
    values = []
    for override in overrides:
        key = override.key_or_group
        if override.is_delete() or override.is_hydra_override():
            continue
        if not (base / "conf" / key).is_dir():
            values.append(
                key.split(".")[0] if override.is_add() else key
            )  # a part may take arguments that conf/ does not list
            continue
        for choice in _values(override):
            choice = choice.text if isinstance(choice, QuotedString) else "null" if choice is None else str(choice)
            check_choice(key, choice, base, WHERE)
            known = known | keys_of(key, choice, base)
    for key in values:
        if key not in known:
            raise RecipeError(f"{WHERE}: {stage} has no `{key}`; {nearest(key, known)}")


def _word(override: Override) -> str:
    """An override as it was typed."""
    return override.input_line or ""


def _values(override: Override) -> list[Any]:
    if override.is_discrete_sweep():
        return list(override.sweep_iterator())
    return [override.get_value_element_as_str() if override.is_sweep_override() else override.value()]


def _jobs(overrides: list[Override]) -> list[dict[str, str]]:
    """Per job {key: word}: the product of all values, in the order in which Hydra's sweeper runs them."""
    words: dict[str, list[str]] = {}  # by key: the last one counts
    for override in overrides:
        if override.is_hydra_override():
            continue
        key = override.get_key_element()
        if not override.is_sweep_override():
            words[key] = [_word(override)]
        elif override.is_discrete_sweep():
            words[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise RecipeError(
                f"{WHERE}: `{override.input_line}` is a range to search in, which needs a sweeper such as "
                "hydra/sweeper=optuna; for a grid write key=1,2 or key=range(1,4)"
            )
        if not words[key]:
            raise RecipeError(f"{WHERE}: `{override.input_line}` gives no value, so it makes no job")
    return [dict(zip(words, job, strict=True)) for job in itertools.product(*words.values())]


def _check_jobs(stage: str, jobs: list[dict[str, str]]) -> None:
    """Raises RecipeError that names every job which cannot be composed."""
    first = jobs[0]
    refused: list[str] = []
    swept = [key for key in first if any(job[key] != first[key] for job in jobs)]
    for number, job in enumerate(jobs):
        try:
            _composed(stage, list(job.values()))
        except RecipeError as error:
            refused.append(f"  #{number} {' '.join(job[key] for key in swept)}: {error}")
    if refused:
        more = [f"  and {len(refused) - MAX_NAMED_JOBS} more"] if len(refused) > MAX_NAMED_JOBS else []
        counted = f"{len(refused)} of {len(jobs)} jobs cannot be composed, so none was run."
        raise RecipeError("\n".join([counted, *refused[:MAX_NAMED_JOBS], *more]))


def _composed(stage: str, words: list[str]) -> tuple[DictConfig, DictConfig]:
    """The stage's config with these words, checked, and Hydra's settings."""
    try:
        cfg = hydra.compose(f"_{stage}", words, return_hydra_config=True)
        settings = cfg.hydra
        OmegaConf.set_struct(cfg, False)
        del cfg["hydra"]
        return checked(cfg), settings
    except (HydraException, OmegaConfBaseException) as error:
        raise RecipeError(f"{WHERE} does not compose: {_message(error)}") from None


def _message(error: Exception) -> str:
    """Hydra's text on one line, without where it looked and how to see a stack trace."""
    text = str(error).partition("Config search path")[0] or type(error).__name__
    lines = (line.strip() for line in text.splitlines())
    return " ".join(line for line in lines if line and not line.startswith(("full_key:", "object_type", "See https:")))
