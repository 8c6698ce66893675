"""The code that a stage can run: the import closure of its script and of every `_target_` that its config names.

Read from the source text, so nothing is imported. An import inside a function counts, for it may run. What a text
imports is remembered in .recipe/imports.json by its hash, since every stage asks when it starts.
"""

import ast
import contextlib
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from recipe.config.remembered import Remembered
from recipe.errors import RecipeError
from recipe.files import digest

SOURCE = "src"  # the folder of the packages: recipe, own, and any that a user puts beside them
CODE = (".py", ".pyc")
READERS = {"importlib.resources", "importlib.resources.files", "pkgutil"}  # read a package's files by its name
BY_NAME = ("import_module", "find_spec", "__import__", "get_object", "get_class", "get_method")  # importlib, Hydra
IN_EXPRESSIONS = tuple(word.encode() for word in (*BY_NAME, "__file__"))  # what is looked for beside import statements
HOLDERS_OF_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)
BUILDS_THE_SOURCE = "prepare"  # the only stage that builds what conf/data/ names; the others read its store


def code_files(stage: str, cfg: dict[str, Any], base: Path) -> list[str]:
    """The files, relative to `base` and in order, that pipeline/<stage>.py can run with this config."""
    _files_of.cache_clear()  # a file may have been added since
    named = {key: value for key, value in cfg.items() if key != "data" or stage == BUILDS_THE_SOURCE}
    todo = [base / "pipeline" / f"{stage}.py"]
    for target in targets(named):
        _require_source(target, base)
    for name in _names(named):
        todo += _files_of(name, base)
    closure: set[Path] = set()
    while todo:
        file = todo.pop()
        if file not in closure:
            closure.add(file)
            todo += _needs(file, file.stat().st_mtime_ns, base)
    _imports_of(base).save()
    return sorted(str(file.relative_to(base)) for file in closure)


def code(stage: str, cfg: dict[str, Any], base: Path) -> dict[str, str]:
    """{file: MD5} of `code_files`."""
    hashes = digest(base / file for file in code_files(stage, cfg, base))
    return {str(Path(file).relative_to(base)): content for file, content in hashes.items()}


def manifest(hashes: dict[str, str]) -> str:
    """The text of resolved/<stage>.code, in the form of `md5sum`: a hash and a file per line."""
    return "".join(f"{content}  {file}\n" for file, content in hashes.items())


def read_manifest(path: Path) -> dict[str, str]:
    """{file: MD5} of resolved/<stage>.code."""
    lines = (line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return {file: content for content, file in lines}


def targets(node: Any) -> Iterator[str]:
    """Every `_target_` below a node of a config, at any depth."""
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


def _names(node: Any) -> Iterator[str]:
    """Every text of a config that may be a dotted name: code can also look up one that is no `_target_`."""
    if isinstance(node, str) and all(part.isidentifier() for part in node.split(".")):
        yield node
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _names(value)


def _require_source(target: str, base: Path) -> None:
    """Raises RecipeError for code of the project that lies outside of `src`, where no edit of it is seen."""
    if _files_of(target, base):
        return
    spec = None
    with contextlib.suppress(ImportError, ValueError):  # no module at all: whoever builds it says so
        spec = importlib.util.find_spec(target.split(".")[0])  # of a package; imports nothing
    for place in (spec.origin, *(spec.submodule_search_locations or ())) if spec else ():
        path = Path(place or "/").resolve()
        if path.is_relative_to(base.resolve()) and not path.is_relative_to(Path(sys.prefix).resolve()):
            raise RecipeError(
                f"`_target_: {target}` is code in {path.relative_to(base.resolve())}, outside of {SOURCE}/, so an edit "
                f"of it would rerun no stage. Move it into {SOURCE}/."
            )


@cache
def _files_of(name: str, base: Path) -> list[Path]:
    """The files of the project that an import of a dotted name runs: its packages and its module.

    Python looks in the script's folder first, then in `src`.
    """
    folders, files = [str(base / "pipeline"), str(base / SOURCE)], []
    for part in name.split("."):
        places = [os.path.join(folder, part) for folder in folders]
        candidates = [file for at in places for file in (f"{at}.py", os.path.join(at, "__init__.py"))]
        files += [Path(file) for file in candidates if os.path.isfile(file)]
        folders = [at for at in places if os.path.isdir(at)]
    return files


@cache  # shared by the stages; the time of the last change is part of the key
def _needs(file: Path, changed: int, base: Path) -> list[Path]:
    """The files that a module or a script imports, and its templates if it looks for files in its folder."""
    if file.suffix != ".py":
        return []
    content = file.read_bytes()
    remembered = _imports_of(base)
    key = hashlib.md5(b"\0".join([str(file.relative_to(base)).encode(), content])).hexdigest()
    if (known := remembered.get(key)) is None:
        nodes = list(_nodes(_parsed(content, file, base), any(word in content for word in IN_EXPRESSIONS)))
        names = sorted(set(_imports(nodes, file, base / SOURCE)))
        looks = bool(READERS & set(names)) or any(isinstance(n, ast.Name) and n.id == "__file__" for n in nodes)
        known = remembered.add(key, [names, looks])
    names, looks = known
    needed = [path for name in names for path in _files_of(name, base)]
    if looks:
        needed += [path for path in _beside(file, base / SOURCE) if path.is_file() and path.suffix not in CODE]
    return needed


@cache
def _imports_of(base: Path) -> Remembered:
    """{hash of path and text: (names that it imports, whether it looks for files in its folder)}."""
    return Remembered("imports.json", base, version=hashlib.md5(Path(__file__).read_bytes()).hexdigest(), most=4000)


def _parsed(content: bytes, file: Path, base: Path) -> ast.AST:
    try:
        return ast.parse(content)  # in the encoding that its first lines say
    except (SyntaxError, ValueError) as error:  # ValueError: a zero byte
        number = getattr(error, "lineno", None)
        line = f", line {number}" if number else ""
        raise RecipeError(f"{file.relative_to(base)}{line}: {getattr(error, 'msg', error)}") from None


def _nodes(tree: ast.AST, expressions: bool) -> Iterator[ast.AST]:
    """The nodes of a module, as `ast.walk` in a third of the time; without `expressions` its statements at least."""
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        for value in vars(node).values():
            children = value if isinstance(value, list) else (value,)
            todo += [
                child for child in children if isinstance(child, ast.AST if expressions else HOLDERS_OF_STATEMENTS)
            ]


def _beside(file: Path, source: Path) -> Iterable[Path]:
    """What a module may read by its path: the files of its folder, in a user's package all of its files."""
    package = file.relative_to(source).parts[0] if file.is_relative_to(source) else ""
    if package in ("", "recipe", file.name):
        return file.parent.iterdir()
    return (path for path in (source / package).rglob("*") if "__pycache__" not in path.parts)


def _imports(nodes: list[ast.AST], file: Path, source: Path) -> Iterable[str]:
    """The dotted names that a module imports; `from a import b` may mean the module a.b."""
    package = file.parent.relative_to(source).parts if file.is_relative_to(source) else ()
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*above, *([node.module] if node.module else [])))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(name := node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in BY_NAME and isinstance(name.value, str):
                words = [str(word.value) for word in node.args[1:] if isinstance(word, ast.Constant)]
                yield f"{words[0]}{name.value}" if name.value.startswith(".") and words else name.value
