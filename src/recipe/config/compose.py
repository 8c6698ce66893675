"""conf/ + params.yaml, folded into one Hydra config per stage.

params.yaml holds choices and values as a tree. At a config group's place a string is the choice and a mapping is
values on top of it (its `name` is the choice; `from_conf` leaves a value as conf/ has it). A stage's section is that
stage's own; every other key goes to each stage that has it. The compose stage writes the result to
resolved/<stage>.yaml, which DVC tracks and the stage runs from; a script started by hand (launch.py) composes the
same config itself, so that Hydra's overrides and sweeps work as usual.
"""

import copy
import difflib
import os
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recipe.config.checkout import configs_left_behind, left_behind, not_in_git
from recipe.config.schema import NAMED, check_types
from recipe.errors import RecipeError

STAGES = ("prepare", "audit", "split", "baseline", "overfit", "regularize", "tune", "ensemble", "report")
TRAINING = ["model", "loss", "optimizer", "augment", "step", "train"]  # the parts of a config that make a training
FROM_CONF = (
    "from_conf"  # a value of params.yaml that conf/ decides: the key is there, so that `dvc exp run -S` can set it
)
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


def load(path: Path) -> dict:
    """A YAML file as a plain dict.

    Raises RecipeError where it is missing, is no YAML, or is no mapping.
    """
    import yaml

    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except FileNotFoundError:
        raise RecipeError(f"{path.name} is missing: {path}") from None
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise RecipeError(f"{path.name} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"{path.name} holds a {type(content).__name__}; it must hold `key: value` lines.")
    return content


def nearest(word: str, known) -> str:
    """`did you mean ...?` and the names of the same group where a known name is near, else the list of all names."""
    known = sorted(map(str, known))
    near = difflib.get_close_matches(word, known, n=1)
    if not near:
        return f"known: {', '.join(known)}."
    group = near[0].rpartition(".")[0]
    return f"did you mean `{near[0]}`? Known: {', '.join(k for k in known if k.rpartition('.')[0] == group)}."


# ---- composing -------------------------------------------------------------------------------------------------


def _own(base: Path, name: str) -> tuple[set[str], set[str]]:
    """(config groups, keys) of conf/<name>.yaml and of the plain files its defaults list names."""
    content = load(base / "conf" / f"{name}.yaml")
    groups, keys = set(), set()
    for entry in content.pop("defaults", []):
        if isinstance(entry, dict):
            groups |= {group.removeprefix("override ").lstrip("/") for group in entry}
        elif entry != "_self_":
            above = _own(base, entry)
            groups, keys = groups | above[0], keys | above[1]
    return groups, keys | set(content)


def asked(stage: str, base: Path) -> tuple[dict[str, str], dict]:
    """What params.yaml asks of a stage: ({group: choice}, {key: value})."""
    groups, keys = _own(base, stage)
    params = load(base / "params.yaml")
    section = params.get(stage)
    if section is not None and not isinstance(section, dict):
        raise RecipeError(f"params.yaml: `{stage}: {section}` must be a mapping, as in `{stage}: {{steps: 100}}`.")
    if RUNTIME in params or RUNTIME in (section or {}):  # DVC's runs would not see it
        raise RecipeError(
            f"params.yaml: `{RUNTIME}` says where a run happens, which is no part of an experiment. Set it in "
            f"conf/{RUNTIME}/local.yaml, or for a run by hand on its command line, as in {RUNTIME}.threads=2."
        )
    shared = {k: v for k, v in params.items() if k not in STAGES and k in groups | keys}
    choices, values = {}, {}
    for key, value in (*shared.items(), *(section or {}).items()):  # a section speaks last
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


def _merged(old, new):
    """`new` on top of `old`, mapping by mapping."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: _merged(old.get(key), value) for key, value in new.items()}


def _set(values: dict) -> dict:
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
    known = set(STAGES).union(*(names for stage in STAGES for names in _own(base, stage)))
    known = {name for name in known if "@" not in name} - {"hydra", "stage"}
    if unknown := sorted(set(load(base / "params.yaml")) - known):
        raise RecipeError(f"params.yaml: no stage has `{unknown[0]}`; {nearest(unknown[0], known)}")


def keys_of(group: str, choice: str, base: Path) -> set[str]:
    """Every dotted key that conf/<group>/<choice>.yaml brings along."""
    return set(leaves(_composed_alone(group, choice, base)))


def _composed_alone(group: str, choice: str, base: Path) -> DictConfig:
    """conf/<group>/<choice>.yaml with its own defaults, also from within a Hydra app, which it leaves as it is."""
    running = GlobalHydra.instance().hydra
    try:
        GlobalHydra.instance().clear()
        with hydra.initialize_config_dir(str(base / "conf"), version_base="1.3"):
            return hydra.compose(f"{group}/{choice}")
    except (HydraException, OmegaConfBaseException) as error:
        raise RecipeError(f"conf/{group}/{choice}.yaml does not compose: {error}") from None
    finally:
        GlobalHydra.instance().hydra = running


def is_group(cfg: DictConfig, key: str) -> bool:
    """Whether a key of a stage's config is filled by a file of conf/<key>/ as a whole."""
    return "." not in key and OmegaConf.is_dict(cfg.get(key)) and "_target_" in cfg[key]


def _spell_out(cfg: DictConfig, base: Path) -> None:
    """A search over the files of a group gets their content, so that resolved/ and with it DVC knows it.

    `optimizer: {choices: [adam, sgd]}` becomes `optimizer: {choices: {adam: {...}, sgd: {...}}}`.
    """
    if not OmegaConf.is_dict(cfg.get("space")):
        return
    OmegaConf.set_struct(cfg, False)
    for key, range_ in cfg.space.items():
        if not is_group(cfg, key) or not OmegaConf.is_dict(range_) or not OmegaConf.is_list(range_.get("choices")):
            continue
        content = {}
        for choice in range_.choices:
            check_choice(key, str(choice), base, f"conf/space: `{key}`")
            content[choice] = OmegaConf.to_container(_composed_alone(key, choice, base)[key], resolve=True)
        range_.choices = content


def register(stage: str, base: Path, **more) -> list[str]:
    """Stores the stage's primary config, with `more` keys, under `_<stage>`; gives its choices as Hydra overrides."""
    choices, values = asked(stage, base)
    defaults = [stage, *({f"override /{g}": c} for g, c in choices.items()), "_self_"]
    ConfigStore.instance().store(f"_{stage}", {"defaults": defaults, **values, **more})
    return [f"{g}={c}" for g, c in choices.items()]


def compose(stage: str, base: Path | None = None) -> DictConfig:
    """The stage's config, with every name and type checked.

    Raises RecipeError that names the file, the key and the valid names.
    """
    import yaml

    base = base or root()
    try:
        GlobalHydra.instance().clear()
        choices = register(stage, base)
        with hydra.initialize_config_dir(str(base / "conf"), version_base="1.3"):
            defaults = hydra.compose(stage, choices)
            cfg = hydra.compose(f"_{stage}")
        known = leaves(defaults)
        free = tuple(f"{key}." for key in _empty(defaults))
        if unknown := sorted(
            key for key in set(leaves(cfg)) - set(known) if key.split(".")[0] not in NAMED and not key.startswith(free)
        ):
            raise RecipeError(f"params.yaml: {stage} has no `{unknown[0]}`; {nearest(unknown[0], known)}")
        _spell_out(cfg, base)
        OmegaConf.resolve(cfg)
        check_types(cfg, f"{stage}, in params.yaml or conf/")
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        lacking = configs_left_behind(base)  # a chosen file may name one of them
        advice = f"\n{not_in_git(*lacking)}" if lacking else ""
        raise RecipeError(f"conf/ does not compose for {stage}: {error}{advice}") from None
    return cfg


def _empty(node, at: str = "") -> list[str]:
    """The dotted keys of empty mappings, which take any key: `dates: {}` of a table takes names of columns."""
    if not OmegaConf.is_dict(node):
        return []
    below = [key for name in node for key in _empty(node._get_node(name), f"{at}.{name}".lstrip("."))]
    return below if node else [at]


def leaves(node, at: str = "") -> dict[str, object]:
    """Every dotted key of a config, inner nodes included, with its value (None for an inner node)."""
    if not OmegaConf.is_dict(node):
        return {at: OmegaConf.to_container(node) if OmegaConf.is_list(node) else node._value()}
    found = {at: None} if at else {}
    for key in node:
        found |= leaves(node._get_node(key), f"{at}.{key}".lstrip("."))
    return found


def change(cfg: DictConfig, changes: dict, groups: list[str] | None = None) -> DictConfig:
    """A copy of `cfg`, or of these groups of it, with dotted keys set.

    A mapping with a `_target_` takes the place of a whole group; one without sets the keys that it names.

    Raises RecipeError that lists near names where a key is not there: a typo must not become a new knob.
    """
    if groups is None:
        tree = OmegaConf.to_container(cfg, resolve=True)
    else:
        tree = {group: OmegaConf.to_container(cfg[group], resolve=True) for group in groups if group in cfg}

    def put(key: str, value) -> None:
        node, (*above, last) = tree, key.split(".")
        for name in above:
            node = node.get(name) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node:
            raise RecipeError(f"no `{key}` in this configuration; {nearest(key, leaves(OmegaConf.create(tree)))}")
        if isinstance(value, dict) and "_target_" not in value and isinstance(node[last], dict):
            for name, inner in value.items():
                put(f"{key}.{name}", inner)
        else:
            node[last] = copy.deepcopy(value)

    for key, value in changes.items():
        put(key, value)
    return OmegaConf.create(tree)


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
    cfg = OmegaConf.create(cfg)
    try:
        _spell_out(cfg, root())
        OmegaConf.resolve(cfg)
        check_types(cfg)
    except OmegaConfBaseException as error:
        raise RecipeError(f"the configuration does not resolve: {error}") from None
    return cfg


def merge_changes(kept: dict, change: dict) -> dict:
    """Both; where a whole group is replaced, without what was changed inside it before."""
    groups = tuple(f"{key}." for key, value in change.items() if isinstance(value, dict))
    return {key: value for key, value in kept.items() if not key.startswith(groups)} | change
