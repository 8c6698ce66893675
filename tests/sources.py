"""What the tests of sources share: files to read, and a source stored."""

import io
from pathlib import Path

from hypothesis import HealthCheck, settings
from PIL import Image

from recipe.data.store import Store
from recipe.stages.prepare.write_store import prepare

CONFIG = {"_target_": "somewhere.Set"}
ANY_FILE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def encoded(size=(30, 20), colour="red", form="PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()


def put(root: Path, *files: str, content: bytes | None = None) -> None:
    """Files below root; each an image of a colour of its own, where no content is given."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        # hash() differs from run to run, and equal pictures would hide a mistake
        colour = f"#{sum(file.encode()) * 7919 % 0xFFFFFF:06x}"
        (root / file).write_bytes(encoded(colour=colour) if content is None else content)


def problems(source) -> list[tuple]:
    return [(p.kind, p.name, p.detail) for p in source.problems]


def stored(source, folder, **more):
    prepared = prepare(source, CONFIG, folder, **more)
    return prepared, Store.open(CONFIG, folder)


class Set:
    """A data set from a list of (image, label); an exception in the list is raised when it is read."""

    def __init__(self, items, classes=("a", "b"), groups=None):
        self.items, self.classes = items, classes
        if groups is not None:
            self.groups = groups

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        if isinstance(self.items[index], Exception):
            raise self.items[index]
        return self.items[index]


class Wide(Set):
    kind, columns = "features", ("age", "height")
