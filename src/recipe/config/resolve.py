"""resolved/<stage>.yaml and <stage>.code: the composed config and the code of each stage, as DVC sees them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from recipe.config.checkout import left_behind, not_in_dvc, not_in_git, workspace
from recipe.config.code_manifest import SOURCE, code, code_files, manifest
from recipe.config.compose import RUNTIME, STAGES, check_top, compose, root
from recipe.config.instantiate import plain_all
from recipe.errors import RecipeError
from recipe.files import digest, write_text

# What a resolved file needs to be a Hydra primary config: where the run happens comes from conf/runtime,
# and DVC's runs leave no Hydra folder or log file behind.
HEAD = {
    "defaults": [{RUNTIME: "local"}, {"override hydra/job_logging": "stdout"}, "_self_"],
    "hydra": {"searchpath": ["file://conf"], "run": {"dir": "."}, "output_subdir": None},
}


def resolve_all() -> None:
    """Writes all of resolved/, or nothing where a config is wrong.

    DVC hashes dependencies after the command (treeverse/dvc#11058), so an edit meanwhile would count as composed:
    it composes again until nothing changed meanwhile.
    """
    base = root()
    before: dict[str, str] | None = None
    texts: dict[str, str] = {}
    while before != (before := digest(base / name for name in ("params.yaml", "conf", "pipeline", SOURCE))):
        texts = _compose_all(base)
    for file, text in texts.items():
        if not _reordered(base / "resolved" / file, text):
            write_text(base / "resolved" / file, text)
    print(f"compose: {len(STAGES)} stages composed into resolved/")


def _reordered(path: Path, text: str) -> bool:
    """Whether a config differs from what is there in the order of its keys alone, which must rerun nothing."""
    import yaml

    if path.suffix != ".yaml" or not path.is_file():
        return False
    known = path.read_text(encoding="utf-8")
    return known == text or yaml.safe_dump(yaml.safe_load(known)) == yaml.safe_dump(yaml.safe_load(text))


def _compose_all(base: Path) -> dict[str, str]:
    check_top(base)
    texts = {"source.code": manifest(code("source", {}, base))}
    for stage in STAGES:
        cfg = plain_all(compose(stage, base))
        _require_all(stage, cfg, base)
        texts[f"{stage}.yaml"] = OmegaConf.to_yaml(OmegaConf.create({**HEAD, **cfg}), sort_keys=False)
        texts[f"{stage}.code"] = manifest(code(stage, cfg, base))
    return texts


def _require_all(stage: str, cfg: dict[str, Any], base: Path) -> None:
    """The code and the data that a config needs are in the checkout that an experiment runs in; else RecipeError."""
    if workspace(base) == base.resolve():
        return
    if lacking := [file for file in code_files(stage, cfg, workspace(base)) if left_behind(file, base)]:
        raise RecipeError(not_in_git(*lacking))
    for text in _texts(cfg):
        if "/" in text and "\n" not in text and left_behind(text, base):
            raise RecipeError(not_in_dvc(text, base))


def _texts(node: Any) -> Iterator[str]:
    """Every text below a node of a config."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _texts(value)
