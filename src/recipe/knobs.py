"""The type of a knob, by its name: a key of one name means the same in every stage."""

from omegaconf import DictConfig, OmegaConf

from recipe.errors import RecipeError

NAMED = ("checks", "waive", "space")  # their keys are names of checks, or of other keys: who reads them checks them
# name: (type, smallest value that makes sense)
KNOBS = {
    "seed": (int, 0),
    "seeds": (int, 1),
    "batch_size": (int, 1),
    "steps": (int, 1),
    "eval_every": (int, 1),
    "trials": (int, 2),
    "repeats": (int, 1),
    "trial_seeds": (int, 1),
    "generation": (int, 1),
    "processes": (int, 1),
    "together": (int, 1),
    "factor": (float, 1.0),
    "first": (float, 0.0),
    "members": (int, 2),
    "top": (int, 0),
    "longer": (int, 0),
    "distil": (bool, None),
    "soften": (float, 1.0),
    "threads": (int, 1),
    "memory": (float, 0.0),
    "workers": (int, 0),
    "near": (float, 0.0),
    "enough": (float, 0.0),
    "confidence": (float, 0.5),
    "failures": (float, 0.0),
    "augment": (bool, None),
    "early_stopping": (bool, None),
    "mixup": (float, 0.0),
    "decay": (float, 0.0),
    "patience": (int, 1),
    "input_size": (int, 1),
    "val": (float, 0.0),
    "test": (float, 0.0),
    "lr": (float, 0.0),
    "weight_decay": (float, 0.0),
    "dropout": (float, 0.0),
    "dropout2d": (float, 0.0),
    "label_smoothing": (float, 0.0),
    "width": (int, 1),
    "depth": (int, 1),
    "_target_": (str, None),
}


def check_types(cfg: DictConfig, where: str) -> None:
    """Every knob of a known name has its type and is not below its smallest value; else RecipeError."""
    plain = OmegaConf.to_container(cfg, resolve=False)

    def visit(node, at):
        for key, value in node.items():
            path = f"{at}.{key}".lstrip(".")
            if isinstance(value, dict):
                if at == "" or key not in KNOBS:
                    visit(value, path)
            elif key in KNOBS and value is not None and not _interpolated(value):
                kind, least = KNOBS[key]
                fits = type(value) is kind or (kind is float and type(value) is int)
                if not fits:
                    raise RecipeError(
                        f"{where}: `{path}: {value!r}` is {_kind(type(value))}, it must be {_kind(kind)}."
                    )
                if least is not None and value < least:
                    raise RecipeError(f"{where}: `{path}: {value}` must be at least {least}.")

    # a search space and the limits of checks are named by dotted keys and by checks: not knobs themselves
    visit({k: v for k, v in plain.items() if k not in (*NAMED, "rungs")}, "")


def _interpolated(value) -> bool:
    return isinstance(value, str) and ("${" in value or value == "???")


def _kind(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text", list: "a list"}.get(
        kind, kind.__name__
    )
