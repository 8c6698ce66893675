"""What a loaded system may build: networks of this project, of torch and of torchvision, and what the user trusts.

A system's description names code (`_target_`, at any depth), and its author chose the names. So a name is looked up
only in the packages here, and the object must be defined there: a module that imports `os` does not make `os` part of
it. Everything else needs its exact dotted name in `trust`.
"""

import inspect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FunctionType

from recipe.errors import RecipeError

VARIABLE = "RECIPE_TRUST"  # exact dotted names, separated by commas: for an MLflow model, which has no command line
DEEPEST = 50  # levels of a description; Hydra and OmegaConf recurse


@dataclass(frozen=True)
class RefusedTarget:
    """A target that is not built without the user's consent."""

    where: str  # as in members.0.model.width
    target: str
    reason: str


def refused_targets(node, where: str, trust: Collection[str] = ()) -> list[RefusedTarget]:
    """The targets of a description, at any depth, that may not be built.

    node: plain data, as YAML gives it. trust: exact dotted names. Raises RecipeError for what no description needs:
    interpolations (`${...}` reads the environment), values that are not plain data, a target that is not a dotted name.
    """
    refused = []
    for place, inner in _mappings(node, where, 0):
        target = inner["_target_"]
        if not isinstance(target, str) or not all(part.isidentifier() for part in target.split(".")):
            raise RecipeError(
                f"{place}: `_target_: {str(target)[:80]}` is not a dotted name, as in recipe.models.plain.mlp."
            )
        if target not in trust and (reason := _objection(target, inner)):
            refused.append(RefusedTarget(place, target, reason))
    return refused


def consent_message(refused: list[RefusedTarget], file: Path) -> str:
    """One message for all refused targets, with the exact words that consent to them."""
    names = sorted({one.target for one in refused})
    lines = [f"{one.where} builds `{one.target}`, which {one.reason}" for one in refused[:3]]
    more = f"; and {len(refused) - 3} more" if len(refused) > 3 else ""
    flags = " ".join(f"--trust {name}" for name in names)
    return (
        f"{file}: {'; '.join(lines)}{more}. Loading runs that code, so it needs your consent. Only if you know what it "
        f"does: recipe predict {flags} ...; in Python load(folder, trust={names}); for an MLflow model the environment "
        f"variable {VARIABLE}={','.join(names)}."
    )


def _mappings(node, where: str, depth: int) -> Iterator[tuple[str, dict]]:
    """Every mapping with a `_target_`, outermost first. Checks that everything else is plain data."""
    if depth > DEEPEST:
        raise RecipeError(f"{where[:80]}...: more than {DEEPEST} levels of mappings and lists.")
    if isinstance(node, dict):
        for key in node:
            if not isinstance(key, (str, int, float)) or "${" in str(key):
                raise RecipeError(f"{where}: `{str(key)[:80]}` is neither a name nor a number.")
        if "_target_" in node:
            yield where, node
        for key, inner in node.items():
            if key != "_target_":
                yield from _mappings(inner, f"{where}.{key}", depth + 1)
    elif isinstance(node, list):
        for i, inner in enumerate(node):
            yield from _mappings(inner, f"{where}.{i}", depth + 1)
    elif isinstance(node, str):
        if "${" in node:
            raise RecipeError(f"{where}: `{node[:80]}` is an interpolation; a system holds only values.")
    elif node is not None and not isinstance(node, (bool, int, float)):
        raise RecipeError(f"{where}: a {type(node).__name__} is not a number, a text, a list or a mapping.")


# ---- by package --------------------------------------------------------------------------------------------------


def _objection(target: str, node: dict) -> str:
    """Why a target is refused; empty where it is allowed."""
    for package, objection in PACKAGES.items():
        if target.startswith(f"{package}."):
            built = _lookup(target)
            return ABSENT if built is None else objection(built, target, node)
    return f"is not part of {', '.join(PACKAGES)}"


ABSENT = "does not lead to a public function or class"


def _lookup(target: str):
    """The public object of a module, if Hydra finds the same one; None for other names and for deeper ones."""
    from hydra.utils import get_object

    module, _, name = target.rpartition(".")
    if any(part.startswith("_") for part in target.split(".")):
        return None
    try:
        built = getattr(import_module(module), name, None)
        return built if built is not None and get_object(target) is built else None
    except Exception:  # no such module, or one whose import fails
        return None


def _defined_in(built, package: str) -> bool:
    return f"{getattr(built, '__module__', '')}.".startswith(f"{package}.")


def _is_network(built) -> bool:
    import torch

    return isinstance(built, type) and issubclass(built, torch.nn.Module)


def _recipe_objection(built, target: str, node: dict) -> str:
    network = isinstance(built, FunctionType) or _is_network(built)
    reads = any(_defined_in(built, f"recipe.models.{name}") for name in ("backbone", "encoder"))  # files, and hubs
    if network and _defined_in(built, "recipe.models") and not reads:
        return ""
    return "is not a network defined in recipe.models"


def _torch_objection(built, target: str, node: dict) -> str:
    """Layers alone: torch.nn also holds functions, and wrappers that start communication between processes."""
    return "" if _defined_in(built, "torch.nn.modules") and _is_network(built) else "is not a layer defined in torch.nn"


def _torchvision_objection(built, target: str, node: dict) -> str:
    """Its layers and its registered builders, without weights: a builder would download them."""
    from torchvision import models

    if not _defined_in(built, "torchvision.models"):
        return "is not defined in torchvision.models"
    builder = built
    if built is models.get_model:
        try:
            builder = models.get_model_builder(node.get("name"))
        except (ValueError, AttributeError):
            return f"has no model called `{str(node.get('name'))[:80]}`"
    if not _is_network(built) and builder not in map(models.get_model_builder, models.list_models()):
        return "is not a network of torchvision.models"
    defaults = {p.name: p.default for p in inspect.signature(builder).parameters.values()}
    given = {name for name in {*defaults, *node} if name.startswith(("weights", "pretrained"))}
    if any(node.get(name, defaults.get(name)) not in (None, False) for name in given):
        return "would download weights (those of the system are in its own files: set `weights` to null)"
    if node.get("_args_") and not _is_network(built):  # the first would be its weights
        return "takes its arguments by name here"
    return ""


PACKAGES = {
    "recipe.models": _recipe_objection, "torch.nn": _torch_objection, "torchvision.models": _torchvision_objection,
}  # fmt: skip
