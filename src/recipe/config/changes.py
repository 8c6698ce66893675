"""Changes of a composed config, by dotted keys."""

import copy
import difflib
import re
from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recipe.errors import RecipeError

# the parts of a config that make a training
TRAINING = ["model", "loss", "optimizer", "augment", "sampler", "schedule", "step", "train"]


def nearest(word: str, known: Iterable[object]) -> str:
    """`did you mean ...?` and the names of the same group where a known name is near, else the list of all names."""
    names = sorted(map(str, known))
    near = difflib.get_close_matches(word, names, n=1)
    if not near:
        return f"known: {', '.join(names)}."
    group = near[0].rpartition(".")[0]
    return f"did you mean `{near[0]}`? Known: {', '.join(n for n in names if n.rpartition('.')[0] == group)}."


def is_group(cfg: DictConfig, key: str) -> bool:
    """Whether a key of a stage's config is filled by a file of conf/<key>/ as a whole."""
    return "." not in key and OmegaConf.is_dict(cfg.get(key)) and "_target_" in cfg[key]


def require_mapping(cfg: object) -> DictConfig:
    if not isinstance(cfg, DictConfig):
        raise TypeError(f"a config is a mapping, not {type(cfg).__name__}")
    return cfg


def leaves(cfg: DictConfig) -> dict[str, Any]:
    """Every dotted key of a config, inner nodes included, with its value (None for an inner node).

    Interpolations and `???` are given as they are written.
    """
    content: Any = OmegaConf.to_container(cfg)
    return _leaves(content)


def _leaves(node: dict[str, Any], at: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.items():
        path = f"{at}.{key}".lstrip(".")
        values |= {path: None} | _leaves(value, path) if isinstance(value, dict) else {path: value}
    return values


def multiplied(value: Any, present: Any) -> Any:
    """`x2` is twice the present number, a whole one where that is whole; every other value is itself."""
    if not isinstance(value, str) or not isinstance(present, (int, float)) or isinstance(present, bool):
        return value
    if not (times := re.fullmatch(r"x(\d*\.?\d+)", value)):
        return value
    new = present * float(times[1])
    return max(1, round(new)) if isinstance(present, int) else new


def change(cfg: DictConfig, changes: dict[str, Any], groups: list[str] | None = None) -> DictConfig:
    """A copy of `cfg`, or of these groups of it, with dotted keys set.

    A mapping with a `_target_` takes the place of a whole group; one without sets the keys that it names.

    Raises RecipeError that lists near names where a key is not there: a typo must not become a new key.
    """
    tree: Any
    if groups is None:
        tree = OmegaConf.to_container(cfg, resolve=True)
    else:
        tree = {group: OmegaConf.to_container(cfg[group], resolve=True) for group in groups if group in cfg}

    def put(key: str, value: Any) -> None:
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
    return require_mapping(OmegaConf.create(tree))


def merge_changes(kept: dict, change: dict) -> dict:
    """Both; where a whole group is replaced, without what was changed inside it before."""
    groups = tuple(f"{key}." for key, value in change.items() if isinstance(value, dict))
    return {key: value for key, value in kept.items() if not key.startswith(groups)} | change
