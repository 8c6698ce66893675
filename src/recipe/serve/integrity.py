"""The integrity of a saved folder: the SHA-256 of each file, in a description that ends with its own SHA-256.

This detects damage, not forgery: whoever changes a file on purpose can write the hashes anew. What a forged description
can do is limited where it is read: no path leaves the folder, and recipe.serve.allowed_targets limits what is built.
"""

import hashlib
import re
from pathlib import Path

from recipe.errors import RecipeError
from recipe.files import dump_yaml, present, write_text

LARGEST = 32 << 20  # bytes of a description, which has about 200 for each column of a table and little else
SEAL = re.compile(rb"^sha256: ([0-9a-f]{64})\n\Z", re.MULTILINE)
NAME = re.compile(r"(members/[A-Za-z0-9_-]+|backbone)\.safetensors")
ANEW = "Restore it with `dvc checkout`, or write the system anew: dvc repro ensemble"


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_description(path: Path, facts: dict) -> None:
    """YAML whose last line is the hash of the lines before it."""
    text = dump_yaml(facts)
    write_text(path, f"{text}sha256: {hashlib.sha256(text.encode()).hexdigest()}\n")


def read_description(path: Path) -> tuple[object, bool]:
    """(the content, whether it ends with its own hash).

    Raises RecipeError where it is missing, damaged, too large, or holds more than plain YAML.
    """
    size = inside(path.parent, path.name).stat().st_size
    if size > LARGEST:
        raise RecipeError(f"{path} has {size:,} bytes; a description of a system has at most {LARGEST:,}.")
    content = path.read_bytes()
    seal = SEAL.search(content)
    if seal and hashlib.sha256(content[: seal.start()]).hexdigest() != seal[1].decode():
        raise RecipeError(f"{path} is damaged: its last line is not the SHA-256 of the others. {ANEW}")
    return _parsed(path, content), bool(seal)


def _parsed(path: Path, content: bytes):
    import yaml

    class Plain(yaml.SafeLoader):
        def compose_node(self, parent, index):
            if self.check_event(yaml.AliasEvent):  # a few lines of them expand to any size
                raise yaml.YAMLError("it has aliases")
            return super().compose_node(parent, index)

    try:
        return yaml.load(content.decode("utf-8"), Plain)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        reason = " ".join(str(error).split())[:200]
        raise RecipeError(f"{path} is damaged, it is not plain YAML: {reason}. {ANEW}") from None


def inside(folder: Path, name: str) -> Path:
    """A regular file of the folder. Raises RecipeError where it is missing, or is or lies behind a link."""
    path = present(folder / name)
    if path.resolve() != folder.resolve() / name:
        raise RecipeError(
            f"{path} is a link, and a system's files must lie in its own folder. If you trust its target, copy "
            f"the folder with the linked files and name the copy: cp -rL {folder} COPY"
        )
    return path


def verified(folder: Path, hashes) -> dict[str, Path]:
    """{name: its file} of all files that the description lists with their SHA-256.

    Raises RecipeError where a name leads out of the folder, or a file is missing, a link, or not the one that was
    written.
    """
    if not isinstance(hashes, dict):
        raise RecipeError(f"{folder / 'system.yaml'} lists no files with their hashes. {ANEW}")
    files = {}
    for name, expected in hashes.items():
        checked_name(folder, name)
        files[name] = inside(folder, name)
        if sha256(files[name]) != expected:
            raise RecipeError(f"{files[name]} is damaged: its SHA-256 is not the one in system.yaml. {ANEW}")
    return files


def checked_name(folder: Path, name) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise RecipeError(
            f"{folder / 'system.yaml'} names the file `{str(name)[:80]}`; the files of a system are "
            "backbone.safetensors and members/NAME.safetensors in its own folder."
        )
    return name
