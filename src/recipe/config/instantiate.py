"""What a config group names, built: the door to `hydra.utils.instantiate`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from hydra.errors import HydraException
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf

from recipe.config.compose import RUNTIME
from recipe.config.schema import EFFORT
from recipe.errors import RecipeError
from recipe.metrics.user_defined import UserFunction
from recipe.verdict import cause

EMBED = "embed"  # the stage that needs the backbone of a model alone
HEADS = "recipe.models.pretrained."  # models that take the features of a frozen backbone
BACKBONE = "backbone", "weights"


def place(group: str) -> str:
    """Where a part is chosen, as messages begin."""
    return f"params.yaml or conf/{group}: "


def part(cfg: DictConfig, group: str, **kwargs: Any) -> Any:
    """What conf/<group>/ names, built.

    Raises RecipeError that names the group, the target and the cause: a misspelt path, an argument it does not take,
    or the exception that its code raised.
    """
    target = cfg[group].get("_target_", "nothing")
    try:
        if set(cfg[group]) == {"_target_", "_partial_"} and not kwargs:
            return get_method(target)  # not Hydra's partial, which checks its target anew at every call
        return instantiate(cfg[group], **kwargs)
    except HydraException as error:
        inner: BaseException = error.__cause__ or error
        while isinstance(inner, HydraException) and inner.__cause__:
            inner = inner.__cause__
        if isinstance(inner, RecipeError):  # its message is complete
            raise RecipeError(f"{place(group)}{inner}") from None
        raise RecipeError(
            f"{place(group)}`{target}` cannot be built: {cause(inner) if inner is not error else error}. "
            f"It was called with {sorted({*cfg[group], *kwargs} - {'_target_', '_partial_'})}."
        ) from None


def metric(cfg: DictConfig) -> str | UserFunction:
    """What `metric` in conf names: a word, or a user's function.

    Raises RecipeError where the function cannot be imported, or where a key is none of UserFunction's.
    """
    if isinstance(cfg.metric, str):
        return cfg.metric
    settings = plain(cfg, "metric")
    target = settings.pop("_target_", "nothing")
    known = [field.name for field in fields(UserFunction)][1:]
    if unknown := sorted(set(settings) - set(known)):
        raise RecipeError(f"`metric` has no key `{unknown[0]}`; it has _target_, {', '.join(known)}.")
    try:
        function = get_method(str(target))
    except Exception as error:  # a user's module may raise anything when it is imported
        raise RecipeError(f"`metric._target_: {target}` cannot be imported: {cause(error)}") from None
    return UserFunction(function, **{"name": str(target).rsplit(".", 1)[-1]} | settings)


def plain_all(cfg: DictConfig) -> dict[str, Any]:
    """The whole config as a plain dict, without where it runs and what its numbers were taken from."""
    content: Any = OmegaConf.to_container(cfg, resolve=True)
    if content["stage"] == EMBED:  # which another head must not rerun
        content["model"] = backbone_of(content["model"])
    return {k: v for k, v in content.items() if k not in (RUNTIME, EFFORT)}


def backbone_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """What a model's config says about its frozen backbone: `backbone` and `weights`; empty of a model without one."""
    target = str(model.get("_target_", ""))
    return {key: model[key] for key in ("_target_", *BACKBONE)} if target.startswith(HEADS) else {}


def plain(cfg: DictConfig, group: str) -> dict[str, Any]:
    """A config group as a plain dict."""
    content: Any = OmegaConf.to_container(cfg[group], resolve=True)
    return dict(content)


def data_name(cfg: DictConfig) -> str:
    """The class of the data set that the config names; of one in given splits the class of its train part."""
    data = plain(cfg, "data")
    first = data.get("train")
    target = (first if isinstance(first, dict) else data)["_target_"]
    return str(target).rsplit(".", 1)[-1]
