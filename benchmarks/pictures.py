"""The pictures of the README and docs/, taken anew in a headless Chromium.

    python benchmarks/pictures.py                         # all: needs the outputs of `dvc repro`; some minutes
    python benchmarks/pictures.py --only closed_gate      # one
    python benchmarks/pictures.py --runs DIR              # report and mispredictions from another run's folder

report and mispredictions show the run whose outputs are in --runs. For closed_gate, a copy of the repository runs up to
baseline with a softmax in the model; for explorer, another one up to audit with the flawed digits.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import CHROMIUM, MISSING, chromium  # noqa: E402
from clone import Clone, fresh  # noqa: E402

READY = "performance.getEntriesByName('ready').length"  # of the explorer's pages
NO_SCROLLBARS = """
    document.head.append(document.createElement("style"));
    document.head.lastChild.textContent = "* { scrollbar-width: none }";
"""
SQUASHED = '''"""The convolutional net with a softmax at its end: a mistake."""

from torch import nn

from recipe.models.plain import convnet


def net(num_classes: int) -> nn.Module:
    return nn.Sequential(convnet(num_classes), nn.Softmax(1))
'''


def copy(folder: Path) -> Clone:
    """The working tree with the committed choices."""
    clone = fresh(folder)
    clone.write("params.yaml", (ROOT / "params.yaml").read_text())
    return clone


def closed_gate(folder: Path) -> Path:
    clone = copy(folder)
    clone.write("src/own/squashed.py", SQUASHED)
    clone.write("conf/model/squashed.yaml", "_target_: own.squashed.net\n")
    clone.write("params.yaml", yaml.safe_dump(yaml.safe_load(clone.read("params.yaml")) | {"model": "squashed"}))
    clone.repro("baseline", code=None)
    return clone.root / "runs/report.html"


def flawed(folder: Path) -> Path:
    clone = copy(folder)
    waived = {"every_example_is_readable": "the flaws are planted"}
    choices = {"data": "digits_flawed", "prepare": {"waive": waived}}
    clone.write("params.yaml", yaml.safe_dump(yaml.safe_load(clone.read("params.yaml")) | choices))
    clone.repro("audit", code=None)
    return clone.root / "runs/audit/explorer.html"


# name: (the page, given --runs and an empty folder; fragment of its address; width and height; is it an explorer?)
PICTURES = {
    "report": (lambda runs, folder: runs / "report.html", "", (1180, 1356), False),
    "closed_gate": (lambda runs, folder: closed_gate(folder), "", (1100, 960), False),
    "explorer": (lambda runs, folder: flawed(folder), "#view=suspects", (1280, 800), True),
    "mispredictions": (lambda runs, folder: runs / "ensemble/mispredictions.html", "#view=suspects", (1280, 800), True),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(PICTURES), choices=list(PICTURES), help="pictures to take")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="the folder runs/ of a finished `dvc repro`")
    given = parser.parse_args()
    if CHROMIUM is None:
        sys.exit(MISSING)
    for name in given.only:
        page_of, fragment, size, explorer = PICTURES[name]
        with tempfile.TemporaryDirectory() as folder:
            page = page_of(given.runs, Path(folder) / "clone")
            if not page.is_file():
                sys.exit(f"{name}: {page} is missing; first: dvc repro")
            with chromium(Path(folder) / "profile") as tab:
                tab.size(*size)
                tab.open(page, fragment, **({"ready": READY} if explorer else {}))
                tab.run(NO_SCROLLBARS)
                tab.run("document.fonts.ready.then(() => true)")
                tab.run("Promise.all([...document.images].map(i => i.decode().catch(() => 0))).then(() => true)")
                (ROOT / "docs" / f"{name}.png").write_bytes(tab.picture())
        print(f"docs/{name}.png", flush=True)
