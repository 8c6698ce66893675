"""The import closure of a stage's script: what dvc.yaml must list, and no more. Run it to print that list.

Imports inside functions count too, for they run. What a config names by `_target_` counts as imported.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("recipe", "own")


def module_file(name: str, root: Path = ROOT) -> Path | None:
    """The file of a dotted module of ours; None where there is none."""
    base = root / "src" / Path(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imported(path: Path, root: Path = ROOT) -> set[Path]:
    """Our modules that a file imports, and the packages they stand in."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        for name in names:
            if name.split(".")[0] in PACKAGES:
                parts = name.split(".")
                candidates = [module_file(".".join(parts[: i + 1]), root) for i in range(len(parts))]
                found |= {c for c in candidates if c}
    return found


def targets(stage: str, root: Path = ROOT) -> set[Path]:
    """Our modules that resolved/<stage>.yaml and the options of its config groups name by `_target_`."""
    found = set()
    texts = [(root / "resolved" / f"{stage}.yaml").read_text()]
    groups = [g.parent.name for g in (root / "conf").glob("*/*.yaml") if f"\n{g.parent.name}:" in texts[0]]
    texts += [p.read_text() for g in set(groups) for p in (root / "conf" / g).glob("*.yaml")]
    for text in texts:
        for target in re.findall(r"_target_:\s*([\w.]+)", text):
            parts = target.split(".")
            if parts[0] in PACKAGES:
                found |= {f for i in range(len(parts)) if (f := module_file(".".join(parts[: i + 1]), root))}
    return found


def closure(stage: str, root: Path = ROOT) -> set[str]:
    """Every file of ours, relative to the root, that the stage's script can run."""
    built = targets(stage, root) if stage not in ("compose", "source") else set()  # these two build no part
    todo, done = {root / "pipeline" / f"{stage}.py"} | built, set()
    while todo:
        path = todo.pop()
        done.add(path)
        todo |= imported(path, root) - done
    return {str(p.relative_to(root)) for p in done}


if __name__ == "__main__":
    for stage in sys.argv[1:]:
        print(stage, *sorted(closure(stage)), sep="\n      - ")
