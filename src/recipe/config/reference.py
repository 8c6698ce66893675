"""docs/configuration.md: every key of conf/ with type, bounds, default and comment.

`python -m recipe.config.reference` writes it from the files of conf/ and the classes of `schema`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from recipe.config.compose import STAGES, root
from recipe.config.options import option
from recipe.config.schema import BY_STAGE, NAMED, Base, Effort, Learn, Part, Runtime
from recipe.config.type_check import fields_of, forms, phrases
from recipe.files import write_text

PAGE = "docs/configuration.md"
HEAD = """# Configuration reference

Every key of conf/ with its type, its bounds, its default and the comment of its line. `params.yaml` sets any of them,
for all stages that have the key or in a stage's section (`tune: {trials: 24}`); a file of a group is chosen by its name
(`model: mlp`), and its keys are set as a mapping (`model: {name: mlp, width: 128}`). On the command line of a script
the same keys are Hydra overrides (`python pipeline/tune.py trials=24 model=mlp model.width=128`).

A file of yours in `conf/<group>/` may name any `_target_` with any keys: they are checked by its constructor.

This page is made by `python -m recipe.config.reference`; a test compares it with conf/.
"""
EFFORTS = ("quick", "normal", "thorough")
SHARED = {"base": Base, "learn": Learn, "runtime/local": Runtime} | {f"effort/{name}": Effort for name in EFFORTS}
GROUPS = (
    "data",
    "model",
    "loss",
    "augment",
    "optimizer",
    "sampler",
    "tokenizer",
    "schedule",
    "step",
    "limits",
    "space",
)
INSET = 8  # a line of comment that is so much further in than a key continues the comment of that key


class Line(NamedTuple):
    """A key of a file of conf/."""

    key: str  # dotted
    default: str  # empty for a mapping whose keys follow
    comment: str


def write() -> None:
    base = root()
    write_text(base / PAGE, page(base))


def page(base: Path) -> str:
    """The text of docs/configuration.md."""
    options = [f"{group}/{file.stem}" for group in GROUPS for file in sorted((base / "conf" / group).glob("*.yaml"))]
    names = [*SHARED, *STAGES, *options]
    return "\n".join([HEAD, *(_section(base, name) for name in names)])


def _section(base: Path, name: str) -> str:
    text = (base / "conf" / f"{name}.yaml").read_text(encoding="utf-8")
    intro, lines = read(text)
    content = yaml.safe_load(text)
    rows = [_row(line, *_type(name, content, line.key)) for line in lines]
    head = ["| key | type | bounds | default | what it is |", "|---|---|---|---|---|"] if rows else []
    inherited = [entry for entry in content.get("defaults", []) if isinstance(entry, str) and entry != "_self_"]
    more = f" It has the keys of {', '.join(f'conf/{entry}.yaml' for entry in inherited)} too." if inherited else ""
    return "\n".join(
        [f"## conf/{name}.yaml", "", *([f"{_escaped(intro)}{more}", ""] if intro or more else []), *head, *rows, ""]
    )


def _row(line: Line, kind: str, bounds: str) -> str:
    default = f"`{line.default}`" if line.default else ""
    cells = (f"`{line.key}`", kind, bounds, default, _escaped(line.comment))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _escaped(text: str) -> str:
    """A comment as Markdown that shows the same characters."""
    return re.sub(r"[*`]", lambda match: "\\" + match[0], text).replace("<", "&lt;")


def _type(name: str, content: dict[str, Any], key: str) -> tuple[str, str]:
    """(type, bounds) of a key of a file, in words."""
    if name.startswith("limits/"):
        return "limits", ""
    if name.startswith("space/"):
        return "range", ""
    *above, last = key.split(".")
    node, schema = content, SHARED.get(name) or BY_STAGE.get(name) or option(content.get("_target_")) or Part
    for step in above:
        node = node[step]
        target = option(node.get("_target_"))
        inner = target or next((form.keys for form in forms(fields_of(schema)[step]) if form.keys), None)
        schema = inner or Part
    words = list(phrases(fields_of(schema)[last]))
    return " or ".join(kind for kind, _ in words), " or ".join(dict.fromkeys(bounds for _, bounds in words if bounds))


def read(text: str) -> tuple[str, list[Line]]:
    """(the comment at the head of a file of conf/, its keys)."""
    source = text.splitlines()
    tree = yaml.compose(text)
    nodes = list(_nodes(tree, source)) if isinstance(tree, yaml.MappingNode) else []
    first = tree.start_mark.line if tree else len(source)
    intro = " ".join(line.lstrip("# ") for line in source[:first])
    lines, after = [], first
    for key, at, value in nodes:
        row, last = at.start_mark.line, _last_line(value, source)
        before = [line.strip() for line in source[after:row] if line.strip().startswith("#")]
        behind = source[last][value.end_mark.column :] if last == value.end_mark.line else source[row]
        comment = [*before, *re.findall(r"(?:^|\s)(#.*)$", behind)]
        after = value.end_mark.line if isinstance(value, yaml.SequenceNode) and not value.flow_style else last + 1
        while after < len(source) and re.match(rf"\s{{{at.start_mark.column + INSET},}}#", source[after]):
            comment.append(source[after].strip())
            after += 1
        lines.append(Line(key, _default(value, source), " ".join(c.lstrip("# ") for c in comment)))
    return intro.strip(), lines


def _nodes(tree: yaml.MappingNode, source: list[str], at: str = "") -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """(dotted key, its node, its value), a mapping in block style followed by its keys."""
    for key, value in tree.value:
        path = f"{at}.{key.value}".lstrip(".")
        if path in ("defaults", "hydra"):
            continue
        yield path, key, value
        if isinstance(value, yaml.MappingNode) and not value.flow_style and path not in NAMED:
            yield from _nodes(value, source, path)


def _last_line(value: yaml.Node, source: list[str]) -> int:
    """The line on which a value ends; of a block, the line of its key."""
    if isinstance(value, yaml.CollectionNode) and not value.flow_style:
        return value.start_mark.line - 1
    return value.end_mark.line


def _default(value: yaml.Node, source: list[str]) -> str:
    if isinstance(value, yaml.CollectionNode) and not value.flow_style:
        return f"{len(value.value)} entries" if isinstance(value, yaml.SequenceNode) else ""
    start, end = value.start_mark, value.end_mark
    if start.line != end.line:
        return " ".join(line.strip() for line in source[start.line : end.line + 1])
    return source[start.line][start.column : end.column]


if __name__ == "__main__":
    write()
