"""The type of a knob and the values that make sense, by its name: a key of one name means the same in every stage."""

from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from recipe.errors import RecipeError

NAMED = ("checks", "waive", "space")  # their keys are names of checks, or of other keys: who reads them checks them


class Knob(NamedTuple):
    """least and most are allowed themselves; above and below are not."""

    kind: type
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    @property
    def bounds(self) -> str:
        said = {"at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        return " and ".join(f"{word} {value:g}" for word, value in said.items() if value is not None)

    def allows(self, value: float) -> bool:
        return not (  # written so that NaN is refused wherever there is a bound
            (self.least is not None and not value >= self.least)
            or (self.above is not None and not value > self.above)
            or (self.most is not None and not value <= self.most)
            or (self.below is not None and not value < self.below)
        )


SHARE = Knob(float, least=0, most=1)
OPTIONAL = ("halving", "input_size", "patience")  # null: without it
KNOBS = {
    "seed": Knob(int, 0),
    "seeds": Knob(int, 1),
    "batch_size": Knob(int, 1),
    "steps": Knob(int, 1),
    "eval_every": Knob(int, 1),
    "samplers": Knob(list),
    "trials": Knob(int, 2),
    "repeats": Knob(int, 1),
    "trial_seeds": Knob(int, 1),
    "generation": Knob(int, 1),
    "halving": Knob(dict),
    "processes": Knob(int, 1),
    "together": Knob(int, 1),
    "factor": Knob(float, above=1),
    "first": Knob(float, above=0, below=1),
    "members": Knob(int, 2),
    "top": Knob(int, 0),
    "longer": Knob(int, 0),
    "distil": Knob(bool),
    "soften": Knob(float, 1),
    "threads": Knob(int, 1),
    "memory": Knob(float, 0),
    "workers": Knob(int, 0),
    "near": Knob(float, 0),
    "enough": Knob(float, 0),
    "confidence": Knob(float, 0.5, below=1),
    "failures": SHARE,
    "augment": Knob(bool),
    "early_stopping": Knob(bool),
    "mixup": Knob(float, 0),
    "decay": SHARE,
    "patience": Knob(int, 1),
    "input_size": Knob(int, 1),
    "share": SHARE,
    "shares": Knob(list),
    "val": Knob(float, 0, below=1),
    "test": Knob(float, 0, below=1),
    "lr": Knob(float, 0),
    "weight_decay": Knob(float, 0),
    "dropout": SHARE,
    "dropout2d": SHARE,
    "label_smoothing": SHARE,
    "width": Knob(int, 1),
    "depth": Knob(int, 1),
    "_target_": Knob(str),
}


def check_types(cfg: DictConfig, where: str = "") -> None:
    """Every knob of a known name has its type and a value that makes sense; else RecipeError.

    where: what the message begins with.
    """
    where = f"{where}: " if where else ""
    plain = OmegaConf.to_container(cfg, resolve=False)

    def visit(node, at):
        for key, value in node.items():
            path, knob = f"{at}.{key}".lstrip("."), KNOBS.get(key)
            if isinstance(value, dict) and (not knob or knob.kind in (dict, bool)):  # augment is a group too
                visit(value, path)
            elif knob and not _free(key, value, part="_target_" in node):
                _check(path, value, knob, where)

    # a search space and the limits of checks are named by dotted keys and by checks: not knobs themselves
    visit({k: v for k, v in plain.items() if k not in (*NAMED, "rungs")}, "")
    if "confidence" in plain and plain.get("seeds") == 1:
        raise RecipeError(f"{where}`seeds: 1` has no spread, and so no interval: it must be at least 2.")


def _check(path: str, value, knob: Knob, where: str) -> None:
    if not (type(value) is knob.kind or (knob.kind is float and type(value) is int)):
        written = "null" if value is None else repr(value)
        raise RecipeError(f"{where}`{path}: {written}` is {_kind(type(value))}, it must be {_kind(knob.kind)}.")
    if knob.bounds and not knob.allows(value):
        raise RecipeError(f"{where}`{path}: {value}` must be {knob.bounds}.")


def _free(key: str, value, part: bool) -> bool:
    """Whether a value is not for us to judge: what a person's own part makes of null or of a mapping is its affair."""
    if isinstance(value, str) and ("${" in value or value == "???"):
        return True
    return (value is None and key in OPTIONAL) or (part and (value is None or isinstance(value, dict)))


def _kind(kind: type) -> str:
    return {
        int: "a whole number", float: "a number", bool: "true or false", str: "text", list: "a list",
        dict: "a mapping", type(None): "nothing",
    }.get(kind, kind.__name__)  # fmt: skip
