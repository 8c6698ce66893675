"""The page's modules as the text of one inline `<script type="module">`.

The modules are written one after the other into one scope, each after those it imports, without their import lines, the
word `export` and comments on types. The page then needs no file beside it, neither from disk nor in a sandboxed frame.
An import map of `data:` addresses would need no joining, but a third more bytes for base64 and `data:` in the page's
Content-Security-Policy, and errors would name a long address instead of a line of the page.

One scope is right only if no two modules declare the same name at their top level; `bundle` refuses that, a circle, an
import of what is not exported, and forms of import and export that it does not know. `tsc` checks everything else.
"""

import re
from pathlib import Path

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+\.js)";\n', re.M)
# Declarations at the top level begin in the first column; only such can be exported
DECLARATION = re.compile(r"^(export )?((?:async )?(?:function|class|const|let) (\w+))", re.M)
# Comments on lines that hold nothing else: types, for tsc and for who reads the modules
COMMENT = re.compile(r"^ */\*\*(?:[^*]|\*(?!/))*\*/\n", re.M)
UNKNOWN = re.compile(r"^(?:import|export|var)\b.*|^(?:const|let) [\[{].*|\bimport\(.*", re.M)


def bundle(folder: Path, entry: str = "main.js") -> str:
    """The text of the module `entry` and of all that it imports. Raises ValueError where they cannot be joined."""
    texts = read_modules(folder, entry)
    declared: dict[str, str] = {}
    for module, text in texts.items():
        for name in declarations(text):
            if name in declared:
                raise ValueError(f"{declared[name]} and {module} both declare {name} at their top level: rename one")
            declared[name] = module
        for names, imported in IMPORT.findall(text):
            exported = {match[3] for match in DECLARATION.finditer(texts[imported]) if match[1]}
            if missing := [name.strip() for name in names.split(",") if name.strip() not in exported | {""}]:
                raise ValueError(f"{module} imports {', '.join(missing)} from {imported}, which does not export it")
    return "\n".join(f"// ---- {module}\n{_in_one_scope(module, text)}" for module, text in texts.items())


def read_modules(folder: Path, entry: str) -> dict[str, str]:
    """{module: its text}, each after those that it imports; among these in the order of the import lines."""
    texts: dict[str, str] = {}

    def read(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            raise ValueError(f"modules import each other in a circle: {' -> '.join((*path, module))}")
        if module in texts:
            return
        if not (folder / module).is_file():
            raise ValueError(f"{path[-1] if path else 'the page'} imports {module}, which does not exist in {folder}")
        text = (folder / module).read_text(encoding="utf-8")
        for _, imported in IMPORT.findall(text):
            read(imported, (*path, module))
        texts[module] = text

    read(entry, ())
    return texts


def declarations(text: str) -> list[str]:
    """The names that a module declares at its top level."""
    return [match[3] for match in DECLARATION.finditer(text)]


def _in_one_scope(module: str, text: str) -> str:
    """The text without its import lines, its comments on types and the word `export`."""
    text = DECLARATION.sub(r"\2", COMMENT.sub("", IMPORT.sub("", text)))
    if unknown := UNKNOWN.search(text):
        raise ValueError(
            f'{module}: {unknown[0].strip()!r} cannot be joined; use `import {{ name }} from "./module.js";` and '
            "`export` before a function, a class or one const or let"
        )
    return text
