"""Holds a composed config against the classes of `schema`: types, bounds and missing keys."""

import difflib
import operator
import types
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from omegaconf import DictConfig, OmegaConf

from recipe.config.options import option
from recipe.config.schema import BY_STAGE, EFFORT, NAMED, Part, Reason
from recipe.errors import RecipeError

# how a bound is written, and when it holds (never for NaN)
BOUNDS: dict[type, tuple[str, str, Callable[[Any, Any], bool]]] = {
    Ge: ("ge", "at least", operator.ge),
    Gt: ("gt", "above", operator.gt),
    Le: ("le", "at most", operator.le),
    Lt: ("lt", "below", operator.lt),
}
KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}


class Form(NamedTuple):
    """One form that a value may have. kind: its Python type; for a mapping with known keys `keys` is their class."""

    kind: type
    bounds: tuple[object, ...] = ()
    words: tuple[object, ...] = ()  # all values, where they are listed
    each: Any = None  # the annotation of a list's elements
    keys: type | None = None
    anything: bool = False

    @property
    def allowed(self) -> str:
        """`at least 0 and below 1`; empty without bounds."""
        known = [(BOUNDS[type(b)], b) for b in self.bounds if type(b) in BOUNDS]
        return " and ".join(f"{phrase} {getattr(b, name):g}" for (name, phrase, _), b in known)

    @property
    def reason(self) -> str:
        return next((b.text for b in self.bounds if isinstance(b, Reason)), "")

    def holds(self, value: object) -> bool:
        known = [(BOUNDS[type(b)], b) for b in self.bounds if type(b) in BOUNDS]
        return all(compare(value, getattr(b, name)) for (name, _, compare), b in known)

    def accepts(self, value: object) -> bool:
        """Whether a value has this type; a whole number is a number too."""
        return self.anything or type(value) is self.kind or (self.kind is float and type(value) is int)


@cache
def forms(annotation: Any) -> tuple[Form, ...]:
    """The forms that an annotation of `schema` allows, the null of an optional key last."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return tuple(form for part in args for form in forms(part))
    if origin is Annotated:
        return tuple(form._replace(bounds=args[1:]) for form in forms(args[0]))
    if origin is Literal:
        return (Form(type(args[0]), words=args),)
    if origin is list:
        return (Form(list, each=args[0]),)
    if annotation is Any:
        return (Form(object, anything=True),)
    if isinstance(annotation, type) and is_dataclass(annotation):
        return (Form(dict, keys=annotation),)
    return (Form(origin or annotation),)


@cache
def fields_of(schema: type) -> dict[str, Any]:
    """{key: annotation} of a class of `schema`."""
    return get_type_hints(schema, include_extras=True)


def check_types(cfg: DictConfig, where: str = "", schema: type | None = None) -> None:
    """Every key of a stage's config is there, has its type and a value within its bounds; else RecipeError.

    cfg: resolved. where: what the message begins with. schema: the class of a config that has only some keys.
    """
    node: Any = OmegaConf.to_container(cfg)
    try:
        _check_mapping(node, schema or BY_STAGE[node["stage"]], "", complete=schema is None)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}" if where else str(error)) from None


def kind_of(cfg: DictConfig, schema: type, key: str) -> type | None:
    """The Python type of a dotted key of a config; None where nothing is known of it."""
    node: Any = OmegaConf.to_container(cfg)
    *above, last = key.split(".")
    known: type | None = schema
    for name in above:
        node = node.get(name) if isinstance(node, dict) else None
        target = node.get("_target_") if isinstance(node, dict) else None
        annotation = fields_of(known).get(name) if known else None
        known = option(target) if target else next((f.keys for f in forms(annotation) if f.keys), None)
    annotation = fields_of(known).get(last) if known else None
    return forms(annotation)[0].kind if annotation else None


def _check_mapping(node: dict[str, Any], schema: type | None, at: str, *, complete: bool = False) -> None:
    """schema: the class of its keys; None where it is user-defined, and only the parts inside are checked."""
    fields = fields_of(schema) if schema else {}
    for key, value in node.items():
        path = f"{at}.{key}".lstrip(".")
        if value == "???":
            raise RecipeError(f"`{path}` has no value yet: it is `???`.")
        if isinstance(value, dict) and "_target_" in value:
            _check_part(value, path, fields.get(key, Part))
        elif key in fields:
            _check_value(value, fields[key], path, complete)
        elif isinstance(value, dict):
            _check_mapping(value, None, path)
    if complete and (missing := next((key for key in fields if key not in node and key != EFFORT), "")):
        near = difflib.get_close_matches(missing, set(node) - set(fields), n=1)
        advice = f"; did you mean it by `{near[0]}`?" if near else "."
        raise RecipeError(f"`{f'{at}.{missing}'.lstrip('.')}` is missing: conf/ must have a line for it{advice}")


def _check_part(node: dict[str, Any], path: str, annotation: Any) -> None:
    if not isinstance(node["_target_"], str):
        raise RecipeError(_wrong_type(f"{path}._target_", node["_target_"], forms(str)))
    _check_mapping(node, option(node["_target_"]) or next((f.keys for f in forms(annotation) if f.keys), None), path)


def _check_value(value: object, annotation: Any, path: str, complete: bool) -> None:
    allowed = forms(annotation)
    form = next((form for form in allowed if form.accepts(value)), None)
    if form is None:
        raise RecipeError(_wrong_type(path, value, allowed))
    if not form.holds(value):
        reason = f": {form.reason}" if form.reason else ""
        raise RecipeError(f"`{path}: {value}` must be {form.allowed}{reason}.")
    if form.words and value not in form.words:
        raise RecipeError(f"`{path}: {value}` must be one of {', '.join(map(str, form.words))}.")
    if isinstance(value, list) and form.each:
        for i, one in enumerate(value):
            _check_value(one, form.each, f"{path}[{i}]", complete)
    if isinstance(value, dict) and path not in NAMED:
        known = form.keys is not None and not issubclass(form.keys, Part)
        _check_mapping(value, form.keys if known else None, path, complete=complete and known)


def _wrong_type(path: str, value: object, allowed: tuple[Form, ...]) -> str:
    written = "null" if value is None else repr(value)
    kinds = " or ".join(dict.fromkeys(KINDS[form.kind] for form in allowed if form.kind is not type(None)))
    hint = ""
    if isinstance(value, bool) and any(form.kind is str for form in allowed):
        hint = " YAML takes an unquoted on, off, yes or no for true or false: write it in quotes."
    return f"`{path}: {written}` is {KINDS.get(type(value), type(value).__name__)}, it must be {kinds}.{hint}"


def phrases(annotation: Any) -> Iterator[tuple[str, str]]:
    """(type, bounds) of each form in words, as the reference has them."""
    for form in forms(annotation):
        bounds = ", ".join(map(str, form.words)) if form.words else form.allowed
        inner = list(phrases(form.each)) if form.each not in (None, Any) else []
        kind = "null" if form.kind is type(None) else "any" if form.anything else KINDS[form.kind]
        if inner:
            kind += f" ({' or '.join(k for k, _ in inner)} each)"
            bounds = bounds or " or ".join(b for _, b in inner if b)
        yield kind, bounds
