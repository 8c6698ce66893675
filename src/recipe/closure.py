"""The code that a stage can run: the import closure of its script and of every `_target_` that its config names.

Read from the source text, so nothing is imported. An import inside a function counts, for it may run.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from recipe.files import digest

SOURCE = "src"  # the folder of the packages: recipe, own, and any that a user puts beside them
BUILDS_THE_SOURCE = "prepare"  # the only stage that builds what conf/data/ names; the others read its store


def code_files(stage: str, cfg: dict, base: Path) -> list[str]:
    """The files, relative to `base` and in order, that pipeline/<stage>.py can run with this config."""
    named = {key: value for key, value in cfg.items() if key != "data" or stage == BUILDS_THE_SOURCE}
    todo = [base / "pipeline" / f"{stage}.py"]
    for target in targets(named):
        todo += _files_of(target, base / SOURCE)
    closure = set()
    while todo:
        file = todo.pop()
        if file not in closure:
            closure.add(file)
            todo += _needs(file, file.stat().st_mtime_ns, base / SOURCE)
    return sorted(str(file.relative_to(base)) for file in closure)


def code(stage: str, cfg: dict, base: Path) -> dict[str, str]:
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


def targets(node) -> Iterator[str]:
    """Every `_target_` below a node of a config, at any depth."""
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


def _files_of(name: str, source: Path) -> list[Path]:
    """The files in `source` that an import of a dotted name runs: its packages and its module."""
    parts, files = name.split("."), []
    for length in range(1, len(parts) + 1):
        at = source.joinpath(*parts[:length])
        files += [file for file in (at.with_suffix(".py"), at / "__init__.py") if file.is_file()]
    return files


@cache  # shared by the stages; the time of the last change is part of the key
def _needs(file: Path, changed: int, source: Path) -> list[Path]:
    """The files that a module or a script imports, and its templates if it looks for files in its folder."""
    if file.suffix != ".py":
        return []
    tree = ast.parse(file.read_text(encoding="utf-8"))
    needed = [path for name in _imports(tree, file, source) for path in _files_of(name, source)]
    if any(isinstance(node, ast.Name) and node.id == "__file__" for node in ast.walk(tree)):
        needed += [path for path in file.parent.iterdir() if path.is_file() and path.suffix not in (".py", ".pyc")]
    return needed


def _imports(tree: ast.AST, file: Path, source: Path) -> Iterable[str]:
    """The dotted names that a module imports; `from a import b` may mean the module a.b."""
    package = file.parent.relative_to(source).parts if file.is_relative_to(source) else ()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*above, *([node.module] if node.module else [])))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
