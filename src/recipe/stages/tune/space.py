"""The search space: dotted config keys with their ranges, some only where another key has a certain value."""

import math
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from recipe.config.changes import TRAINING, change, is_group, leaves, merge_changes, multiplied, nearest
from recipe.config.schema import Tune
from recipe.config.type_check import check_types, kind_of
from recipe.errors import RecipeError

FIXED = ("train.eval_every",)  # all lanes share it
FORMS = ({"choices"}, {"low", "high"}, {"low", "high", "log"})
WORDS = {"when"}.union(*FORMS)
SYNTAX = "{low, high}, {low, high, log: true} or {choices: [...]}, each with `when: {key: value}` or without"


@dataclass(frozen=True)
class Range:
    """One searched key: numbers from low to high, whole ones where `whole`; or one of `choices`.

    groups: of a key that is a whole config group, the content of each choice's file. when: {key: values}; the key is
    searched only where all of them hold.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple = ()
    groups: dict[str, dict] = field(default_factory=dict)
    when: dict[str, tuple] = field(default_factory=dict)

    def active(self, params: dict) -> bool:
        return all(key in params and params[key] in values for key, values in self.when.items())

    def axis(self) -> dict:
        """Its scale, for figures."""
        if self.choices:
            return {"choices": list(self.choices)}
        return {"low": self.low, "high": self.high, "log": self.log}

    def at(self, share: float):
        """The value at a share (0 to 1, 1 excluded) of the range, on its own scale; equal shares for each choice."""
        if self.choices:
            return self.choices[int(share * len(self.choices))]
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        if self.log:
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        return min(max(round(value), int(self.low)), int(self.high)) if self.whole else value


Space = dict[str, Range]


def read_space(cfg: DictConfig, start: dict) -> Space:
    """The searched keys of conf/space, validated, those that others depend on first. start: the accepted changes.

    Raises RecipeError that names the key and its mistake.
    """
    written = cast(dict[str, Any], OmegaConf.to_container(cfg.space, resolve=True))
    if not written:
        raise RecipeError("conf/space: the space is empty; name at least one key and its range.")
    cfg = change(cfg, start)
    for key, range_ in written.items():
        _check_form(key, range_)
    order = _in_order(written)
    groups = {key: written[key].get("choices") for key in order if is_group(cfg, key)}
    for group, choices in groups.items():
        if not isinstance(choices, dict):
            raise RecipeError(f"conf/space: `{group}` is a group: choose by name, as in {{choices: [name, name]}}.")
    space: Space = {}
    for key in order:
        when = {of: _as_tuple(values) for of, values in written[key].get("when", {}).items()}
        present = _present_value(cfg, key, groups, when)
        space[key] = _range(cfg, key, written[key], present, groups.get(key), when)
        for of, values in when.items():
            if missing := [v for v in values if space[of].choices and v not in space[of].choices]:
                raise RecipeError(
                    f"conf/space: `{key}`: `{of}` is never {missing[0]}; {nearest(str(missing[0]), space[of].choices)}"
                )
    return space


def _check_form(key: str, range_) -> None:
    if not isinstance(range_, dict) or set(range_) - {"when"} not in FORMS:
        unknown = [str(word) for word in range_ if word not in WORDS] if isinstance(range_, dict) else []
        hint = f" It has `{unknown[0]}`; {nearest(unknown[0], WORDS)}" if unknown else ""
        raise RecipeError(f"conf/space: `{key}` must be {SYNTAX}.{hint}")
    if not isinstance(range_.get("when", {}), dict):
        raise RecipeError(f"conf/space: `{key}`: when must be {{key: value}} or {{key: [values]}}.")


def _in_order(written: dict) -> list[str]:
    """Each key after those that it depends on; otherwise in the order of the file."""
    for key, range_ in written.items():
        if missing := [of for of in range_.get("when", {}) if of not in written]:
            raise RecipeError(
                f"conf/space: `{key}` depends on `{missing[0]}`, which is not searched; {nearest(missing[0], written)}"
            )
    graph = {key: list(range_.get("when", {})) for key, range_ in written.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle = " -> ".join(f"`{key}`" for key in error.args[1])
        raise RecipeError(f"conf/space: `when` has a cycle: {cycle}.") from None
    order: list[str] = []

    def put(key: str) -> None:
        for of in graph[key]:
            put(of)
        if key not in order:
            order.append(key)

    for key in graph:
        put(key)
    return order


def _as_tuple(values) -> tuple:
    return tuple(values) if isinstance(values, list) else (values,)


def _present_value(cfg: DictConfig, key: str, groups: dict[str, dict], when: dict[str, tuple]):
    """The key's value in the configuration. Every choice of its group that `when` allows must have the key."""
    group = key.split(".")[0]
    if group not in TRAINING or key in FIXED:
        raise RecipeError(f"conf/space: `{key}` does not configure a training; {nearest(key, _keys(cfg))}")
    if key == group and not is_group(cfg, key):
        raise RecipeError(f"conf/space: `{key}` is not a group of conf/; name one of its keys.")
    if key == group or group not in groups:
        keys = _keys(cfg)
        if key not in keys:
            raise RecipeError(f"conf/space: no `{key}` in this configuration; {nearest(key, keys)}")
        return keys[key]
    allowed = [c for c in groups[group] if c in when.get(group, tuple(groups[group]))]
    of = {choice: _keys(OmegaConf.create({group: groups[group][choice]})) for choice in allowed}
    having = [choice for choice, keys in of.items() if key in keys]
    if not having:
        raise RecipeError(
            f"conf/space: no `{key}` in {_files(group, allowed)}; {nearest(key, set().union(*of.values()))}"
        )
    if lacking := [choice for choice in allowed if choice not in having]:
        raise RecipeError(
            f"conf/space: {_files(group, lacking)} has no `{key}`; write `when: {{{group}: [{', '.join(having)}]}}` "
            "beside its range."
        )
    return of[having[0]][key]


def _files(group: str, choices: list[str]) -> str:
    return " and ".join(f"conf/{group}/{choice}.yaml" for choice in choices)


def _keys(cfg: DictConfig) -> dict[str, object]:
    """Every key that can be searched, with its value."""
    training = {k: v for k, v in leaves(cfg).items() if k.split(".")[0] in TRAINING and k not in FIXED}
    return {k: v for k, v in training.items() if not k.rsplit(".", 1)[-1].startswith("_") and k != "train"}


def _range(cfg: DictConfig, key: str, range_: dict, present, groups: dict | None, when: dict) -> Range:
    where = f"conf/space: `{key}`"
    if "choices" in range_:
        choices = range_["choices"]
        if not isinstance(choices, (list, dict)) or not choices:
            raise RecipeError(f"{where}: choices must be a list that is not empty.")
        if isinstance(choices, list):
            choices = [multiplied(c, present) for c in choices]
        if not all(isinstance(c, (int, float, str, bool, type(None))) for c in choices):
            raise RecipeError(f"{where}: choices must be numbers, words, true, false or null.")
        if len(set(map(repr, choices))) < len(choices):
            raise RecipeError(f"{where}: choices has a value twice.")
        if not groups:
            _check_values(cfg, key, choices)
        return Range(key, choices=tuple(choices), groups=groups or {}, when=when)
    low, high, log = range_["low"], range_["high"], bool(range_.get("log"))
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (low, high)) or low >= high:
        raise RecipeError(f"{where}: low ({low}) and high ({high}) must be numbers, low below high.")
    if log and low <= 0:
        raise RecipeError(f"{where}: a log scale needs low above 0, it is {low}.")
    kind = type(present) if isinstance(present, float) else kind_of(cfg, Tune, key) or type(present)
    if kind not in (int, float, type(None)):
        raise RecipeError(f"{where} is not a number now ({present!r}); give it choices.")
    whole = kind is int
    if whole and not (isinstance(low, int) and isinstance(high, int)):
        raise RecipeError(f"{where} is a whole number: low ({low}) and high ({high}) must be too.")
    _check_values(cfg, key, (low, high))
    return Range(key, low=low, high=high, log=log, whole=whole, when=when)


def _check_values(cfg: DictConfig, key: str, values) -> None:
    group = key.split(".")[0]
    target = {group: {"_target_": cfg[group]._target_}} if is_group(cfg, group) else {}
    for value in values:
        if value is not None:  # whether null is possible, the trial will show
            alone = OmegaConf.create(target)
            OmegaConf.update(alone, key, value)
            check_types(alone, "conf/space", Tune)


def changes(space: Space, start: dict, params: dict) -> dict:
    """What a trial changes in the configuration: the accepted changes, with the trial's values in place."""
    groups = {key: space[key].groups[value] for key, value in params.items() if space[key].groups}
    return merge_changes(start, groups) | {key: value for key, value in params.items() if key not in groups}


def at_edges(params: dict, space: Space, share: float = 0.05) -> list[str]:
    """Keys whose value lies within 5 % of an end of its range, on the range's own scale."""
    keys = []
    for key, value in params.items():
        range_ = space[key]
        if range_.choices:
            continue
        scale = math.log if range_.log else float
        low, high, here = scale(range_.low), scale(range_.high), scale(value)
        if min(here - low, high - here) < share * (high - low):
            keys.append(key)
    return keys
