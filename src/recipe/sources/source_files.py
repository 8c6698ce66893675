"""Hashes the files that the configured source reads, wherever they are, so that DVC can depend on them.

DVC does not follow links to folders, sees nothing outside the project, and reads a device without end. So the stage
`source` hashes the files at each run and writes resolved/source.json: counts and a hash of names and contents, without
paths or times. A file is read again only where its size, times or inode have changed since the last run. The weights of
a pretrained network are hashed likewise, into resolved/backbone.json, and second sources of training examples into
resolved/extra.json.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipe.errors import RecipeError
from recipe.files import read_json, read_yaml, write_json, write_text
from recipe.sources.list_files import list_files

MANIFEST, CONFIG = Path("resolved/source.json"), Path("resolved/prepare.yaml")
EXTRA, EXTRA_CONFIG = Path("resolved/extra.json"), Path("resolved/regularize.yaml")
HUB = "hub"  # in place of a file of weights
EXTRA_TARGET = "recipe.train.extra.Extra"
BACKBONE, BACKBONE_CONFIG = Path("resolved/backbone.json"), Path("resolved/embed.yaml")
# settings that name files, of the sources that come with the recipe
KEYS = {
    "recipe.sources.folder.Folder": ("root",),
    "recipe.sources.arrays.Arrays": ("file",),
    "recipe.sources.arrays.Parquet": ("file",),
    "recipe.sources.tables.Table": ("file",),
    "recipe.sources.tables.Text": ("file",),
    "recipe.sources.text_folder.TextFolder": ("root",),
    "recipe.sources.digits.Digits": (),
    "recipe.sources.digits_flawed.DigitsFlawed": (),
}
GIVEN_SPLITS = "recipe.sources.given_splits.GivenSplits"  # its settings are data sets
BELOW_ROOT = {  # settings that name a file relative to `root`
    "recipe.sources.folder.Folder": ("annotations", "table"),
    "recipe.sources.text_folder.TextFolder": ("table",),
}
PROJECT_FILES = "data"  # the folder that a user-defined source may read without naming it
SETTLED = 2_000_000_000  # ns: a younger file may change again without a new time, on a coarse clock


def write_manifest() -> str:
    """Writes resolved/source.json for the source of resolved/prepare.yaml, and backbone.json; a sentence on it."""
    config, backbone = read_yaml(CONFIG), read_yaml(BACKBONE_CONFIG)
    assert isinstance(config, dict)
    assert isinstance(backbone, dict)
    _require_weights(backbone["model"])
    cache = _Cache.load()
    manifest = _hash_all(source_paths(config["data"]), cache)
    write_json(MANIFEST, manifest)
    write_json(EXTRA, _hash_all(_extra_paths(read_yaml(EXTRA_CONFIG)), cache))
    write_json(BACKBONE, _hash_all(_weights_paths(backbone["model"]), cache))
    cache.save()
    files, size = (sum(entry[key] for entry in manifest.values()) for key in ("files", "bytes"))
    return f"{files:,} files, {size / 1e6:,.1f} MB" if manifest else "the source reads no files of this project"


@contextlib.contextmanager
def require_unchanged(data: dict, checked: bool = True) -> Iterator[None]:
    """Raises RecipeError where, before or after the block, the source's files differ from resolved/source.json.

    Otherwise the output of the block would count as made from the hashed version of the files. data: the source's
    config. Does nothing where `checked` is false.
    """
    for part in ("before", "after"):
        if checked and read_json(MANIFEST) != hash_sources(data):
            raise RecipeError("the files of the source have changed since `dvc repro` hashed them. Run it again.")
        if part == "before":
            yield


def hash_sources(data: dict) -> dict[str, dict]:
    """{setting of the source: number of files, bytes and sha256 of everything it names}."""
    cache = _Cache.load()
    manifest = _hash_all(source_paths(data), cache)
    cache.save()
    return manifest


def require_same_weights(model: dict) -> None:
    """Raises RecipeError where the weights of a backbone differ from resolved/backbone.json. model: its config."""
    if read_json(BACKBONE) != _hash_all(_weights_paths(model), _Cache.load()):
        raise RecipeError("the weights of the backbone have changed since `dvc repro` hashed them. Run it again.")


def _require_weights(model: dict) -> None:
    """Raises RecipeError where neither `weights` nor `backbone` names what is there: hours of work may come before."""
    named = str(model.get("weights", ""))
    places = [_path(text) for key in ("weights", "backbone") if (text := str(model.get(key, "")))]
    if named and named != HUB and not any(map(Path.exists, places)):
        raise RecipeError(
            f"`weights: {named}` of conf/model or params.yaml names neither a file nor a folder. Mend the path, or "
            f"write `weights: {HUB}` to fetch those of `{model['backbone']}`."
        )


def _weights_paths(model: dict) -> dict[str, Path]:
    named = {"weights": _path(model["weights"])} if model.get("weights") else {}
    folder = _path(model.get("backbone", ""))  # of texts, its name or the folder of its files
    return named | ({"backbone": folder} if model.get("backbone") and folder.is_dir() else {})


def _extra_paths(config: Any) -> dict[str, Path]:
    """What the second sources of examples in a config read: {their place in it: the file or folder}."""
    if not isinstance(config, dict | list):
        return {}
    if isinstance(config, dict) and config.get("_target_") == EXTRA_TARGET:
        return source_paths(config["data"]) if isinstance(config.get("data"), dict) else {}
    inner = config.items() if isinstance(config, dict) else enumerate(config)
    return {f"{key}.{name}": place for key, value in inner for name, place in _extra_paths(value).items()}


def _hash_all(places: dict[str, Path], cache: "_Cache") -> dict[str, dict]:
    return {key: _hashed(place, cache) for key, place in places.items()}


def source_paths(data: dict) -> dict[str, Path]:
    """{setting of a source: the file or folder that it names}.

    A data set that torchvision downloads verifies its own checksums. For a user-defined source, every text that names a
    file or folder counts, and the folder data/; not a folder that holds the project, which every stage changes.
    """
    target = str(data.get("_target_", ""))
    if target.startswith("torchvision.") and "download" in data:
        return {}
    if target == GIVEN_SPLITS:
        parts = {name: part for name, part in data.items() if isinstance(part, dict)}
        return {f"{name}.{key}": place for name, part in parts.items() for key, place in source_paths(part).items()}
    if target in KEYS:
        named = {key: _path(data[key]) for key in KEYS[target] if data.get(key)}  # prepare reports what is missing
        below = {key: data[key] for key in BELOW_ROOT.get(target, ()) if data.get(key) and named}
        return named | {key: named["root"] / name for key, name in below.items()}
    named = {key: _path(text) for key, text in _texts(data) if text}
    above = {*map(os.path.realpath, (Path.cwd(), *Path.cwd().parents))}
    named = {key: path for key, path in named.items() if os.path.exists(path) and os.path.realpath(path) not in above}
    return named | ({PROJECT_FILES: Path(PROJECT_FILES)} if os.path.isdir(PROJECT_FILES) else {})


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))  # Path.expanduser raises where `~` is followed by an unknown user


def _texts(node, at: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, text) of every text in a config."""
    if isinstance(node, str):
        yield at, node
    elif isinstance(node, dict | list):
        for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _texts(inner, f"{at}.{key}".lstrip("."))


def _hashed(place: Path, cache: "_Cache") -> dict:
    if not place.is_dir():
        size, digest = cache.read(os.path.realpath(place)) if place.is_file() else (0, "missing")
        return {"files": int(place.is_file()), "bytes": size, "sha256": digest}
    listing, total, content = list_files(place), 0, hashlib.sha256()
    for name, path in listing.files:
        size, digest = cache.read(path)
        total += size
        content.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
    for problem in listing.problems:  # they are listed in problems.csv
        content.update(f"{problem.kind}\0{problem.name}\0{problem.detail}\n".encode())
    for folder in listing.folders:  # an empty one may be a class
        content.update(f"{folder}\n".encode(errors="surrogateescape"))
    return {"files": len(listing.files), "bytes": total, "sha256": content.hexdigest()}


@dataclass
class _Cache:
    """{real path: [size, mtime, ctime, inode, sha256]} of the last run, in .recipe/."""

    known: dict[str, list]
    used: dict[str, list]

    @classmethod
    def load(cls) -> "_Cache":
        try:
            known = json.loads(_cache_file().read_text())
        except (OSError, ValueError):  # the first run, or a truncated file
            known = {}
        return cls(known, {})

    def save(self) -> None:
        if self.used != self.known:
            write_text(_cache_file(), json.dumps(self.used))

    def read(self, path: str) -> tuple[int, str]:
        """(bytes, sha256) of a file; (0, the error) where it cannot be read."""
        try:
            status = os.stat(path)
            stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
            entry = self.known.get(path)
            if entry and entry[:4] == stamp:
                self.used[path] = entry
                return status.st_size, entry[4]
            before = time.time_ns()
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return 0, f"unreadable: {error.strerror}"
        if status.st_ctime_ns < before - SETTLED:  # mtime may be set to any time, even in the future
            self.used[path] = [*stamp, content]
        return status.st_size, content


def _cache_file() -> Path:
    """In the real repository, also from inside a temporary DVC experiment."""
    return Path(os.environ.get("DVC_ROOT") or ".", ".recipe", "source_files.json")
