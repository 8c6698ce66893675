"""What the probes of the audit say of sets whose answers are known, and of real ones. Prints Markdown tables.

    python benchmarks/audit_probes.py                                 # everything: five seeds, coverage, real data
    python benchmarks/audit_probes.py --seeds 0 --draws 0 --only quadrant

Known answers: tests/planted.py. Right: the verdict that was planted; open: `undecided`; wrong: the opposite. Coverage:
a set is drawn anew --draws times with DRAWN examples; how often does the interval hold the mean over the draws? CPU
seconds of this process, one thread. Real data are read from --data and left out where it is absent.
"""

import argparse
import io
import lzma
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
from planted import SETS

from recipe.stages.audit.probes.questions import run_probes
from recipe.stages.audit.probes.results import ProbeResult

DRAWN = 600
COVERED = ("direction", "glyph anywhere", "quadrant", "brightness at random")


def probed(images, labels, groups, seed: int, most: int) -> tuple[dict[tuple[str, str], ProbeResult], dict[str, float]]:
    """The findings, and CPU seconds by what was being measured."""
    seconds, last = {}, ["the sample", time.process_time()]

    def say(line: str) -> None:
        now = time.process_time()
        seconds[last[0]] = now - last[1]
        last[:] = line, now

    findings = run_probes(images, labels, groups, seed, most, say)
    say("")
    return {(f.probe, f.factor): f for f in findings}, seconds


def table(head: list[str], rows: list[list]) -> None:
    print("|", " | ".join(head), "|\n|" + " --- |" * len(head))
    for row in rows:
        print("|", " | ".join(map(str, row)), "|", flush=True)
    print()


def verdicts(names: list[str], seeds: list[int], n: int) -> None:
    """A row per set; the slowest of each probe."""
    rows, slowest, total = [], {}, [0, 0, 0]
    for name in names:
        planted, counts, amiss = SETS[name], [0, 0, 0], []
        for seed in seeds:
            probe_results, seconds = probed(*planted.draw(n, seed), seed, n)
            slowest = {key: max(value, slowest.get(key, 0)) for key, value in seconds.items()}
            for key, known in planted.verdicts.items():
                f = probe_results[key]
                kind = 0 if f.verdict == known else 1 if f.verdict == "undecided" else 2
                counts[kind] += 1
                if kind:
                    amiss.append(f"seed {seed}: {' '.join(key).strip()} {f.verdict}, {number(f)}, planted {known}")
            if planted.enough:
                good = probe_results["resolution", ""].value == planted.enough
                counts[0 if good else 2] += 1
                amiss += [] if good else [f"seed {seed}: {probe_results['resolution', ''].value} pixels"]
        total = [a + b for a, b in zip(total, counts, strict=True)]
        rows.append([name, *counts, "; ".join(amiss) or "-"])
        print(f"{name}: {counts}", file=sys.stderr, flush=True)
    table(["planted", "right", "open", "wrong", "not right"], [*rows, ["all", *total, ""]])
    table(["at most CPU-s", f"n = {n:,}"], [[what, f"{s:.1f}"] for what, s in slowest.items()])


def coverage(names: list[str], draws: int) -> None:
    from threadpoolctl import threadpool_limits

    from recipe.stages.audit.probes.linear_probe import Examples
    from recipe.stages.audit.probes.structure import structure

    rows = []
    for name in names:
        probe_results = []
        for seed in range(draws):
            images, labels, groups = SETS[name].draw(DRAWN, 1000 + seed)
            examples = Examples(labels, np.unique(groups, return_inverse=True)[1], seed)
            with threadpool_limits(1):
                probe_results.append(structure(images.astype(np.float32) / 255, examples))
        for key in probe_results[0]:
            value, low, high = np.array([[f[key].value, f[key].low, f[key].high] for f in probe_results]).T
            held = int(((low <= value.mean()) & (value.mean() <= high)).sum())
            ratio = value.std(ddof=1) / max(float((high - low).mean()) / 3.92, 1e-9)
            rows.append(
                [name, key, f"{value.mean():.1f}", f"{value.std(ddof=1):.2f}", f"{ratio:.2f}", f"{held}/{draws}"]
            )
    table(["planted", "probe", "mean", "spread over draws", "spread / interval's", "mean held"], rows)


def number(f: ProbeResult) -> str:
    if f.value is None:
        return "-"
    if f.probe == "resolution":
        return f"{f.verdict}, {f.value:.0f} ({f.low:.0f}..{f.high:.0f}) px"
    return f"{f.verdict}, {f.value:.1f} ({f.low:.1f}..{f.high:.1f})"


# ---- real data ---------------------------------------------------------------------------------------------------


def digits(data: Path) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.images[:, None] / 16).astype(np.float32), bunch.target


def cifar10(data: Path) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image
    from pyarrow import parquet

    rows = parquet.read_table(data / "cifar10" / "test_jpeg.parquet")
    images = [np.asarray(Image.open(io.BytesIO(b)).convert("RGB")) for b in rows["image"].to_pylist()]
    return np.stack(images).transpose(0, 3, 1, 2), rows["label"].to_numpy()


def fashion_mnist(data: Path) -> tuple[np.ndarray, np.ndarray]:
    with lzma.open(data / "fashion_mnist" / "test_images.npy.xz") as file:
        images = np.load(file, allow_pickle=False)
    return images[:, None], np.load(data / "fashion_mnist" / "test_labels.npy", allow_pickle=False).astype(int)


REAL = {
    "digits, 1,797": (digits, 1797),
    "CIFAR-10 (JPEG copy), 1,200": (cifar10, 1200),
    "CIFAR-10 (JPEG copy), 2,500": (cifar10, 2500),
    "Fashion-MNIST, 1,200": (fashion_mnist, 1200),
}


def real(data: Path, pictures: Path | None) -> None:
    columns = {}
    for name, (load, most) in REAL.items():
        try:
            images, labels = load(data)
        except FileNotFoundError as error:
            print(f"{name}: left out, {error.filename} is not there.\n")
            continue
        probe_results, seconds = probed(images, labels, np.arange(len(labels)), 0, most)
        cells = {" ".join(key).strip(): number(f) for key, f in probe_results.items()}
        curve = probe_results["resolution", ""].curve
        cells["resolution curve"] = ", ".join(f"{accuracy:.1f} % at {size:.0f}" for size, accuracy, *_ in curve)
        cells |= {f"CPU-s: {what}": f"{s:.1f}" for what, s in seconds.items()}
        columns[name] = cells
        if pictures:
            draw(probe_results, pictures, name.split(" ")[0].strip(","))
    keys = list(dict.fromkeys(key for cells in columns.values() for key in cells))
    table(["", *columns], [[key, *(cells.get(key, "-") for cells in columns.values())] for key in keys])


def draw(probe_results: dict[tuple[str, str], ProbeResult], out: Path, name: str) -> None:
    from recipe.stages.audit.figures import resolution_curve, variations
    from recipe.stages.audit.probes.results import TOLERANCE, variation_rows

    resolution_curve(out / f"{name}_resolution.png", list(probe_results["resolution", ""].curve), TOLERANCE)
    variations(out / f"{name}_variations.png", variation_rows(list(probe_results.values())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=range(5))
    parser.add_argument("--only", nargs="*", default=list(SETS), help="planted sets")
    parser.add_argument("--examples", type=int, default=1200)
    parser.add_argument("--draws", type=int, default=40, help="for the coverage; 0 leaves it out")
    parser.add_argument("--data", type=Path, help="folder of real data sets")
    parser.add_argument("--pictures", type=Path, help="folder for the figures of the real data")
    given = parser.parse_args()
    if given.seeds:
        verdicts(given.only, list(given.seeds), given.examples)
    if given.draws:
        coverage([name for name in COVERED if name in given.only], given.draws)
    if given.data:
        real(given.data, given.pictures)


if __name__ == "__main__":
    main()
