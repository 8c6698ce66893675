"""What the explorer costs for 5,000 examples: size of the page, time until it answers, time of a filter. Markdown.

    python benchmarks/audit_explorer.py                   # photographs of 64 pixels and 60 columns, made of noise
    python benchmarks/audit_explorer.py --rounds 9 --examples 10000

Times are wall clock in a headless Chromium, medians over rounds; a shared machine makes them longer, never shorter.
"Ready" is when the page answers to keys and clicks, "pictures" when the last thumbnail is decoded, both from the start
of navigation. A filter, brush, sort or opening is everything that the page does for it, up to the browser's own paint.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import CHROMIUM, MISSING, chromium  # noqa: E402

from recipe.explorer import Column, Roles, explorer  # noqa: E402

READY = "performance.getEntriesByName('ready').length"
PICTURES = "performance.getEntriesByName('pictures').length"
QUERIES = ("c1 > 0.5", "c1 > 0.5 and class != k3", "not (c2 < 0) or c3 >= 1", "k7", "class in (k1, k2) and c5 < 0", "")
TEXT = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "nobody",
    "looks",
    "at",
    "the",
    "moon",
    "above",
    "the",
    "quiet",
    "harbour",
]


def photograph(rng: np.random.Generator) -> np.ndarray:
    """(64, 64, 3): smooth shapes with grain; a kilobyte each, where real photographs of this size take 0.8."""
    from PIL import Image

    coarse = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
    grain = rng.normal(0, 6, (64, 64, 1))
    return np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)


def render(count: int, kind: str) -> tuple[str, float]:
    """The page and its CPU seconds."""
    rng = np.random.default_rng(0)
    label, suggested = (rng.integers(0, 10, count) for _ in range(2))
    names = np.array([f"k{k}" for k in range(10)], dtype=object)
    columns = [Column("id", "name", np.array([f"{k:012x}" for k in rng.permutation(count)], dtype=object))]
    columns += [Column("class", "given", names[label]), Column("suggested", "by a model", names[suggested])]
    columns += [Column(f"c{k}", "a number", rng.normal(size=count)) for k in range(57)]
    roles = Roles("id", "class", "suggested", "c1")
    options = {"classes": names.tolist(), "neighbours": rng.integers(0, count, (count, 8)), "limit": count}
    if kind == "texts":
        options["text"] = [" ".join(rng.choice(TEXT, 20)) for _ in range(count)]
    if kind == "photographs":
        pictures = [photograph(rng) for _ in range(count)]
        options["picture"] = pictures.__getitem__
    start = time.process_time()
    page = explorer(columns, roles, title="benchmark", flagged=rng.random(count) < 0.1, **options)
    return page, time.process_time() - start


def milliseconds(tab, act) -> float:
    """Of the longest change that `act` makes."""
    tab.run("performance.clearMeasures()")
    act()
    return max(tab.run("performance.getEntriesByName('change', 'measure').map(e => e.duration)"))


def measured(tab, file: Path, kind: str) -> dict[str, float]:
    tab.open(file, ready=READY)
    mark = "performance.getEntriesByName('{}')[0].startTime"
    times = {"ready": tab.run(mark.format("ready"))}
    if kind == "photographs":
        tab.wait(PICTURES)
        times["pictures"] = tab.run(mark.format("pictures"))
    filters = [milliseconds(tab, lambda q=query: tab.write("#query", q)) for query in QUERIES]
    times["filter"] = statistics.median(filters)
    times["slowest filter"] = max(filters)
    times["brush"] = milliseconds(tab, lambda: tab.drag("[data-column=c1] svg", 0.3, 0.6))
    times["sort"] = milliseconds(tab, lambda: tab.run("document.querySelector('#turn').click()"))
    times["open an example"] = milliseconds(tab, lambda: (tab.key("Home"), tab.key("Enter")))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not CHROMIUM:
        sys.exit(MISSING)
    names = ("ready", "pictures", "filter", "slowest filter", "brush", "sort", "open an example")
    print(f"{arguments.examples:,} examples, 60 columns; milliseconds, medians of {arguments.rounds}\n")
    print(f"| page | rendered, CPU s | MB | {' | '.join(names)} |")
    print(f"|---|---{'|---' * (len(names) + 1)}|")
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder) / "profile") as tab:
        tab.size(1280, 800)
        for kind in ("photographs", "texts", "rows"):
            page, seconds = render(arguments.examples, kind)
            file = Path(folder) / f"{kind}.html"
            file.write_text(page, encoding="utf-8")
            rounds = [measured(tab, file, kind) for _ in range(arguments.rounds)]
            cells = [f"{statistics.median(r[n] for r in rounds):.0f}" if n in rounds[0] else "" for n in names]
            print(f"| {kind} | {seconds:.1f} | {len(page) / 1e6:.2f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
