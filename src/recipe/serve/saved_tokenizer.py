"""The tokenizer of a saved system: its class by name, and what it learned of the training texts."""

from collections.abc import Collection
from importlib import import_module
from typing import Any, cast

from recipe.data.tokens import Tokenizer, Words
from recipe.errors import RecipeError
from recipe.serve.allowed_targets import RefusedTarget, refused_targets
from recipe.verdict import cause

WORDS = f"{Words.__module__}.{Words.__qualname__}"


def described(tokenizer: Tokenizer) -> dict[str, Any]:
    """What `built` builds it from."""
    return {"_target_": f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}", **tokenizer.facts()}


def refused(description: Any, where: str, trust: Collection[str]) -> list[RefusedTarget]:
    """A user-defined class, which is not built without consent. Raises RecipeError for what describes no tokenizer."""
    if not isinstance(description, dict) or "_target_" not in description:
        raise RecipeError(f"{where} describes no tokenizer.")
    return [] if description["_target_"] == WORDS else refused_targets(description, where, trust)


def built(description: dict[str, Any], where: str) -> Tokenizer:
    """Raises RecipeError where its class is missing, or does not take these facts."""
    facts = {name: value for name, value in description.items() if name != "_target_"}
    module, _, name = description["_target_"].rpartition(".")
    try:
        return cast(Tokenizer, getattr(import_module(module), name).of_facts(facts))
    except Exception as error:  # a user's class may raise anything
        raise RecipeError(f"{where}: `{description['_target_']}` cannot be built: {cause(error)}.") from None
