"""resolved/<stage>.yaml and <stage>.code: the composed config and the code of each stage, as DVC sees them."""

from pathlib import Path

from omegaconf import OmegaConf

from recipe.checkout import left_behind, not_in_dvc, not_in_git
from recipe.closure import SOURCE, code, manifest
from recipe.config import RUNTIME, STAGES, check_top, compose, root
from recipe.errors import RecipeError
from recipe.files import digest, write_text

# What a resolved file needs to be a Hydra primary config by itself: where the run happens comes from conf/runtime,
# and DVC's runs leave no Hydra folder or log file behind.
HEAD = {
    "defaults": [{RUNTIME: "local"}, {"override hydra/job_logging": "stdout"}, "_self_"],
    "hydra": {"searchpath": ["file://conf"], "run": {"dir": "."}, "output_subdir": None},
}


def resolve_all() -> None:
    """Writes all of resolved/, or nothing where a config is wrong.

    DVC hashes dependencies after the command (treeverse/dvc#11058), so an edit meanwhile would count as composed:
    it composes until the inputs held still.
    """
    base = root()
    before, texts = None, {}
    while before != (before := digest(base / name for name in ("params.yaml", "conf", "pipeline", SOURCE))):
        texts = _compose_all(base)
    for file, text in texts.items():
        write_text(base / "resolved" / file, text)
    print(f"compose: {len(STAGES)} stages composed into resolved/")


def _compose_all(base) -> dict[str, str]:
    check_top(base)
    texts = {"source.code": manifest(code("source", {}, base))}
    for stage in STAGES:
        cfg = OmegaConf.to_container(compose(stage, base), resolve=True)
        _require_all(cfg, base)
        cfg.pop(RUNTIME, None)
        texts[f"{stage}.yaml"] = OmegaConf.to_yaml(OmegaConf.create({**HEAD, **cfg}), sort_keys=False)
        texts[f"{stage}.code"] = manifest(code(stage, cfg, base))
    return texts


def _require_all(cfg, base: Path) -> None:
    """What the config names is in the checkout that a temporary experiment runs in; else RecipeError."""
    if isinstance(cfg, dict | list):
        for value in cfg.values() if isinstance(cfg, dict) else cfg:
            _require_all(value, base)
        if isinstance(cfg, dict) and str(cfg.get("_target_")).startswith("own."):
            file = Path("src", *cfg["_target_"].split(".")[:-1]).with_suffix(".py")
            if left_behind(file, base):
                raise RecipeError(not_in_git(file))
    elif isinstance(cfg, str) and "/" in cfg and "\n" not in cfg and left_behind(cfg, base):
        raise RecipeError(not_in_dvc(cfg, base))
