"""The type of a knob and the values that make sense, by its name: a key of one name means the same in every stage."""

import operator
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from recipe.errors import RecipeError

NAMED = ("checks", "waive", "space")  # their keys are names of checks, or of other keys: who reads them checks them


# bound of a Knob: how it is said, when it holds (never for NaN)
HOLDS = {
    "least": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "most": ("at most", operator.le),
    "below": ("below", operator.lt),
}


class Knob(NamedTuple):
    """least and most are allowed themselves; above and below are not. each: what a list holds. among: all words."""

    kind: type
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    each: "Knob | None" = None
    among: tuple[str, ...] = ()

    @property
    def bounds(self) -> list[tuple[str, float]]:
        return [(word, limit) for word in HOLDS if (limit := getattr(self, word)) is not None]


MAPPING, SWITCH = Knob(dict), Knob(bool)
COUNT, FROM_ZERO = Knob(int, least=1), Knob(int, least=0)
AMOUNT, SHARE, PART = Knob(float, least=0), Knob(float, least=0, most=1), Knob(float, above=0, most=1)
OPTIONAL = ("classes_at", "column", "halving", "input_size", "patience")  # null: without it
# What the parts that recipe and torch ship take. What a part of a person's own takes is its own affair.
OF_PARTS = {
    "levels": Knob(int, least=2),
    "lr": AMOUNT,
    "weight_decay": AMOUNT,
    "classes_at": COUNT,
    "dropout": SHARE,
    "dropout2d": SHARE,
    "label_smoothing": SHARE,
    "share": PART,
    "width": COUNT,
    "depth": COUNT,
    "_target_": Knob(str),
}
KNOBS = OF_PARTS | {
    "accumulate": COUNT,
    "augment": SWITCH,
    "batch_size": COUNT,
    "blank": AMOUNT,
    "causal": SWITCH,
    "by": Knob(str, among=("random", "time", "group")),
    "checks": MAPPING,
    "column": Knob(str),
    "confidence": Knob(float, least=0.5, below=1),
    "decay": SHARE,
    "declare": MAPPING,
    "decoding": MAPPING,
    "distil": SWITCH,
    "early_stopping": SWITCH,
    "enough": AMOUNT,
    "eval_every": COUNT,
    "factor": Knob(float, above=1),
    "failures": SHARE,
    "first": Knob(float, above=0, below=1),
    "flags": MAPPING,
    "frozen": Knob(list, each=Knob(str)),
    "generation": COUNT,
    "given": Knob(str, among=("obey", "ignore")),
    "halving": MAPPING,
    "input_size": COUNT,
    "irreducible_noise": SWITCH,
    "ladder": MAPPING,
    "longer": FROM_ZERO,
    "members": Knob(int, least=2),
    "memory": AMOUNT,
    "mixes_samples": SWITCH,
    "mixup": AMOUNT,
    "near": AMOUNT,
    "outlier": AMOUNT,
    "patience": COUNT,
    "pixels": COUNT,
    "processes": COUNT,
    "rare": Knob(str, among=("ask", "drop", "train")),
    "repeats": COUNT,
    "resampled_train": SWITCH,
    "samplers": Knob(list, each=Knob(str)),
    "seconds": Knob(float, above=0),
    "seed": FROM_ZERO,
    "seeds": COUNT,
    "shared_modules": SWITCH,
    "shares": Knob(list, each=PART),
    "soften": Knob(float, least=1),
    "space": MAPPING,
    "steps": COUNT,
    "test": Knob(float, least=0, below=1),
    "threads": COUNT,
    "together": COUNT,
    "top": FROM_ZERO,
    "train": MAPPING,
    "trial_seeds": COUNT,
    "trials": Knob(int, least=2),
    "val": Knob(float, least=0, below=1),
    "values": Knob(list),
    "waive": MAPPING,
    "workers": FROM_ZERO,
}


def check_types(cfg: DictConfig, where: str = "") -> None:
    """Every knob of a known name has its type and a value that makes sense; else RecipeError.

    cfg: resolved. where: what the message begins with.
    """
    where = f"{where}: " if where else ""
    plain = OmegaConf.to_container(cfg)

    def visit(node, at, known):
        known = _taken(node.get("_target_"), known)
        for key, value in node.items():
            path, knob = f"{at}.{key}".lstrip("."), known.get(key)
            if value == "???":
                raise RecipeError(f"{where}`{path}` has no value yet: it is `???`.")
            if isinstance(value, dict) and (not knob or knob.kind is dict or "_target_" in value):
                visit(value, path, known)
            elif knob and not (value is None and key in OPTIONAL):
                _check(path, value, knob, where)

    # a search space, the limits of checks and rungs are named by dotted keys and by checks: not knobs themselves
    visit({k: v for k, v in plain.items() if not (k in (*NAMED, "rungs") and isinstance(v, dict | list))}, "", KNOBS)
    if "confidence" in plain and plain.get("seeds") == 1:
        raise RecipeError(f"{where}`seeds: 1` has no spread, and so no interval: it must be at least 2.")


def _taken(target, known: dict[str, Knob]) -> dict[str, Knob]:
    """The knobs of a node with this `_target_`; those of the node above where it has none."""
    if not isinstance(target, str):
        return known
    return OF_PARTS if target.startswith(("recipe.", "torch.")) else {}


def _check(path: str, value, knob: Knob, where: str) -> None:
    if not (type(value) is knob.kind or (knob.kind is float and type(value) is int)):
        written = "null" if value is None else repr(value)
        raise RecipeError(f"{where}`{path}: {written}` is {_kind(type(value))}, it must be {_kind(knob.kind)}.")
    if not all(HOLDS[word][1](value, limit) for word, limit in knob.bounds):
        allowed = " and ".join(f"{HOLDS[word][0]} {limit:g}" for word, limit in knob.bounds)
        raise RecipeError(f"{where}`{path}: {value}` must be {allowed}.")
    if knob.among and value not in knob.among:
        raise RecipeError(f"{where}`{path}: {value}` must be one of {', '.join(knob.among)}.")
    if knob.each:
        for i, one in enumerate(value):
            _check(f"{path}[{i}]", one, knob.each, where)


def _kind(kind: type) -> str:
    return {
        int: "a whole number", float: "a number", bool: "true or false", str: "text", list: "a list",
        dict: "a mapping", type(None): "nothing",
    }.get(kind, kind.__name__)  # fmt: skip
