"""conf/ + params.yaml, folded into one Hydra config per stage.

params.yaml holds choices and values as a tree. At a config group's place a string is the choice and a mapping is
values on top of it (its `name` is the choice; `from_conf` leaves a value as conf/ has it). A stage's section is for
that stage only; every other key goes to each stage that has it. The compose stage writes the result to
resolved/<stage>.yaml, which DVC tracks and the stage runs from; a script that a user starts (hydra_app.py) composes the
same config itself, so that Hydra's overrides and sweeps work as usual.
"""

import copy
import functools
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import hydra
import omegaconf
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from recipe.config.changes import is_group, leaves, nearest, require_mapping
from recipe.config.checkout import configs_left_behind, left_behind, not_in_git
from recipe.config.remembered import Remembered
from recipe.config.schema import BY_STAGE, NAMED
from recipe.config.type_check import check_types
from recipe.errors import RecipeError
from recipe.files import digest

STAGES = tuple(BY_STAGE)


# a value of params.yaml that conf/ decides: the key is there, so that `dvc exp run -S` can set it
FROM_CONF = "from_conf"
RUNTIME = "runtime"  # the group that changes where a run happens, never what it computes: not in resolved/


def root() -> Path:
    """The folder of params.yaml and dvc.yaml, looked for from here upwards: a DVC experiment runs in a copy."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
            return folder
    raise RecipeError(
        f"{here}: neither this folder nor one above it has a params.yaml and a dvc.yaml. "
        "Run this from a clone of the recipe repository."
    )


def home() -> Path:
    """The real repository, also from inside a temporary DVC experiment."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def load(path: Path) -> dict[str, Any]:
    """A YAML file as a plain dict.

    Raises RecipeError where it is missing, is not YAML, or does not hold a mapping.
    """
    import yaml

    try:
        content = copy.deepcopy(_parsed(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise RecipeError(f"{path.name} is missing: {path}") from None
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise RecipeError(f"{path.name} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"{path.name} holds a {type(content).__name__}; it must hold `key: value` lines.")
    return dict(content)


@functools.cache  # each stage reads params.yaml and the same files of conf/
def _parsed(text: str) -> Any:
    return OmegaConf.to_container(OmegaConf.load(io.StringIO(text)))


# ---- composing -------------------------------------------------------------------------------------------------


def _groups_and_keys(base: Path, name: str) -> tuple[set[str], set[str]]:
    """(config groups, keys) of conf/<name>.yaml and of the plain files its defaults list names."""
    content = load(base / "conf" / f"{name}.yaml")
    groups: set[str] = set()
    keys: set[str] = set()
    for entry in content.pop("defaults", []):
        if isinstance(entry, dict):
            groups |= {group.removeprefix("override ").lstrip("/") for group in entry}
        elif entry != "_self_":
            inherited = _groups_and_keys(base, entry)
            groups, keys = groups | inherited[0], keys | inherited[1]
    return groups, keys | set(content)


def requested(stage: str, base: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """What params.yaml requests for a stage: ({group: choice}, {key: value})."""
    groups, keys = _groups_and_keys(base, stage)
    params = load(base / "params.yaml")
    section = params.get(stage)
    if section is not None and not isinstance(section, dict):
        raise RecipeError(f"params.yaml: `{stage}: {section}` must be a mapping, as in `{stage}: {{seeds: 4}}`.")
    if RUNTIME in params or RUNTIME in (section or {}):  # DVC's runs would not see it
        raise RecipeError(
            f"params.yaml: `{RUNTIME}` says where a run happens and is not part of an experiment. Set it in "
            f"conf/{RUNTIME}/local.yaml, or on the command line of a script, as in {RUNTIME}.threads=2."
        )
    shared = {k: v for k, v in params.items() if k not in STAGES and k in groups | keys}
    choices: dict[str, str] = {}
    values: dict[str, Any] = {}
    for key, value in (*shared.items(), *(section or {}).items()):  # a stage's section comes last, and wins
        if key not in groups:
            values[key] = _merged(values.get(key), value)
            continue
        value = {"name": value} if isinstance(value, str) else value
        if not isinstance(value, dict):
            raise RecipeError(f"params.yaml: `{key}: {value}` must name a file in conf/{key}/.")
        if "name" in value:  # another choice leaves the values of the former behind
            check_choice(key, value["name"], base, "params.yaml")
            choices[key] = value["name"]
            values.pop(key, None)
        values[key] = _merged(values.get(key), {k: v for k, v in value.items() if k != "name"})
    return choices, {key: value for key, value in _set(values).items() if value != {} or key not in groups}


def _merged(old: Any, new: Any) -> Any:
    """`new` on top of `old`, mapping by mapping."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: _merged(old.get(key), value) for key, value in new.items()}


def _set(values: dict[str, Any]) -> dict[str, Any]:
    """The values without those that are left to conf/."""
    kept = {key: value for key, value in values.items() if value != FROM_CONF}
    return {key: _set(value) if isinstance(value, dict) else value for key, value in kept.items()}


def check_choice(group: str, choice: str, base: Path, where: str) -> None:
    options = [p.stem for p in (base / "conf" / group).glob("*.yaml")]
    if left_behind(file := Path("conf", group, f"{choice}.yaml"), base):
        raise RecipeError(not_in_git(file))
    if choice not in options:
        raise RecipeError(f"{where}: conf/{group}/ has no `{choice}`; {nearest(choice, options)}")


def check_top(base: Path) -> None:
    """Every top-level key of params.yaml is a stage, or a group or key of some stage; else RecipeError."""
    known = set(STAGES).union(*(names for stage in STAGES for names in _groups_and_keys(base, stage)))
    known = {name for name in known if "@" not in name} - {"hydra", "stage"}
    if unknown := sorted(set(load(base / "params.yaml")) - known):
        raise RecipeError(f"params.yaml: no stage has `{unknown[0]}`; {nearest(unknown[0], known)}")


def keys_of(group: str, choice: str, base: Path) -> set[str]:
    """Every dotted key that conf/<group>/<choice>.yaml brings along."""
    return set(leaves(_compose_option(group, choice, base)))


def _compose_option(group: str, choice: str, base: Path) -> DictConfig:
    """conf/<group>/<choice>.yaml with its defaults, also from within a Hydra app, whose state it restores."""
    running = GlobalHydra.instance().hydra
    try:
        GlobalHydra.instance().clear()
        with hydra.initialize_config_dir(str(base / "conf"), version_base="1.3"):
            return hydra.compose(f"{group}/{choice}")
    except (HydraException, OmegaConfBaseException) as error:
        raise RecipeError(f"conf/{group}/{choice}.yaml does not compose: {error}") from None
    finally:
        GlobalHydra.instance().hydra = running


def _expand_choices(cfg: DictConfig, base: Path) -> None:
    """A search over the files of a group gets their content, so that it is in resolved/, where DVC sees it.

    `optimizer: {choices: [adam, sgd]}` becomes `optimizer: {choices: {adam: {...}, sgd: {...}}}`.
    """
    if not OmegaConf.is_dict(cfg.get("space")):
        return
    for key, range_ in cfg.space.items():
        if not is_group(cfg, key) or not OmegaConf.is_dict(range_) or not OmegaConf.is_list(range_.get("choices")):
            continue
        content = {}
        for choice in range_.choices:
            check_choice(key, str(choice), base, f"conf/space: `{key}`")
            content[choice] = OmegaConf.to_container(_compose_option(key, choice, base)[key], resolve=True)
        with open_dict(cfg):
            range_.choices = content


def register(stage: str, base: Path, **more: Any) -> tuple[list[str], dict[str, Any]]:
    """Stores the stage's primary config, with `more` keys, under `_<stage>`.

    Gives what params.yaml requests: the choices as Hydra overrides, and the values.
    """
    choices, values = requested(stage, base)
    defaults = [stage, *({f"override /{g}": c} for g, c in choices.items()), "_self_"]
    ConfigStore.instance().store(f"_{stage}", {"defaults": defaults, **values, **more})
    return [f"{g}={c}" for g, c in choices.items()], values


def compose(stage: str, base: Path | None = None) -> DictConfig:
    """The stage's config, with every name and type checked: what Hydra makes of `_<stage>`, in half the time.

    Raises RecipeError that names the file, the key and the valid names.
    """
    import yaml

    base = base or root()
    try:
        GlobalHydra.instance().clear()
        choices, values = register(stage, base)
        cfg = _of_conf(stage, choices, base)
        OmegaConf.set_struct(cfg, False)
        changes = OmegaConf.create(values)
        _check_keys(stage, leaves(changes), cfg)
        _check_mappings(stage, values, cfg)
        cfg = require_mapping(OmegaConf.merge(cfg, changes))
        _expand_choices(cfg, base)
        OmegaConf.resolve(cfg)
        check_types(cfg, f"{stage}, in params.yaml or conf/")
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        lacking = configs_left_behind(base)  # a chosen file may name one of them
        advice = f"\n{not_in_git(*lacking)}" if lacking else ""
        raise RecipeError(f"conf/ does not compose for {stage}: {error}{advice}") from None
    OmegaConf.set_struct(cfg, True)
    return cfg


def _of_conf(stage: str, choices: list[str], base: Path) -> DictConfig:
    """What Hydra makes of conf/ for these choices, before interpolations; remembered by the content of conf/."""
    files = {os.path.relpath(file, base): content for file, content in digest([base / "conf"]).items()}
    key = hashlib.md5(json.dumps([stage, choices, files]).encode()).hexdigest()
    remembered = _compositions(base)
    if (known := remembered.get(key)) is not None:
        return require_mapping(OmegaConf.create(known))
    with hydra.initialize_config_dir(str(base / "conf"), version_base="1.3"):
        cfg = hydra.compose(stage, choices)
    content = OmegaConf.to_container(cfg)
    if json.loads(json.dumps(content)) == content:  # JSON has no keys but texts
        remembered.add(key, content)
        remembered.save()
    return cfg


@functools.cache
def _compositions(base: Path) -> Remembered:
    return Remembered("composed.json", base, version=f"{hydra.__version__} {omegaconf.__version__}", most=60)


def _check_keys(stage: str, keys: Iterable[str], cfg: DictConfig) -> None:
    """Raises RecipeError for a key of params.yaml that the composed conf/ does not have."""
    known = leaves(cfg)
    free = tuple(f"{key}." for key in known.keys() - _filled(cfg))
    unknown = [k for k in keys if k not in known and k.split(".")[0] not in NAMED and not k.startswith(free)]
    if unknown:
        raise RecipeError(f"params.yaml: {stage} has no `{min(unknown)}`; {nearest(min(unknown), known)}")


def _check_mappings(stage: str, values: dict[str, Any], cfg: Any, at: str = "") -> None:
    """Raises RecipeError for a list in params.yaml where conf/ has a mapping."""
    for key, value in values.items():
        node = cfg.get(key) if OmegaConf.is_dict(cfg) else None
        if OmegaConf.is_dict(node) and isinstance(value, dict):
            _check_mappings(stage, value, node, f"{at}{key}.")
        elif OmegaConf.is_dict(node) and isinstance(value, list):
            raise RecipeError(
                f"{stage}, in params.yaml: `{at}{key}: {value}` is a list, it must be a mapping, as in "
                f"`{key}: {{name: value}}`."
            )


def _filled(cfg: DictConfig) -> set[str]:
    """The dotted keys of mappings that list their keys. Below every other key any may follow, which the types and who
    reads them check: `dates: {}` of a table takes names of columns, `labels: null` a mapping."""
    return {key for key, node in _mappings(OmegaConf.to_container(cfg)) if node}


def _mappings(node: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping inside a mapping, with its dotted key."""
    for key, value in node.items():
        if isinstance(value, dict):
            path = f"{at}.{key}".lstrip(".")
            yield path, value
            yield from _mappings(value, path)


# ---- for a run -------------------------------------------------------------------------------------------------


def resolved(stage: str, base: Path) -> DictConfig:
    """The config that DVC runs the stage with: resolved/<stage>.yaml, and from conf/runtime where it runs.

    Raises RecipeError where the compose stage has not written it.
    """
    if not (base / "resolved" / f"{stage}.yaml").is_file():
        raise RecipeError(f"resolved/{stage}.yaml is missing. It is written by the compose stage: dvc repro compose")
    try:
        GlobalHydra.instance().clear()
        with hydra.initialize_config_dir(str(base / "resolved"), version_base="1.3"):
            cfg = hydra.compose(stage)
    except (HydraException, OmegaConfBaseException) as error:
        raise RecipeError(f"resolved/{stage}.yaml does not compose: {error}") from None
    return checked(cfg)


def checked(cfg: DictConfig) -> DictConfig:
    """What Hydra composed for a run, with its types checked and its interpolations resolved.

    Raises RecipeError.
    """
    cfg = copy.deepcopy(cfg)
    try:
        _expand_choices(cfg, root())
        OmegaConf.resolve(cfg)
        check_types(cfg)
    except OmegaConfBaseException as error:
        raise RecipeError(f"the configuration does not resolve: {error}") from None
    return cfg
