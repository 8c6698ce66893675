"""Which damaged image files are noticed, which healthy ones are held up, and what it costs. Prints Markdown tables.

    python benchmarks/audit_files.py FOLDER

FOLDER holds cifar10/{train,test}_jpeg.parquet (60,000 JPEGs) and natural_ants_bees/ (104 photographs); without it only
the zoo is measured. Beside `recipe.decode.pool`: Pillow's verify() and load(), and cleanvision where it is installed.

A file of the zoo (tests/zoo.py) counts as correct if it is refused or accepted as it should be; for recipe the reason
and the notes must be correct, too. cleanvision is given one file at a time, for its run ends at the first that it
cannot open: such an end counts as refused, though in a folder it would end the run. A damaged photograph
counts where the damage is visible: its pixels as Pillow decodes them change by more than 2 grey levels on average, or
cannot be decoded. CPU seconds of this process and of its workers, one thread.
"""

import argparse
import contextlib
import io
import os
import resource
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
from PIL import Image
from zoo import Odd, zoo

from recipe.decode.pool import decode

STREAMED = 48  # times all photographs
PLACES = 10  # of damage in each photograph
VISIBLE = 2.0  # grey levels of 255
Judge = Callable[[list], list[bool]]  # files -> refused or not


def ours(files: list) -> list[bool]:
    return [bool(found.problem) for found in decode(files)]


def _pillow(step: Callable) -> Judge:
    def refused(file) -> bool:
        source = file if isinstance(file, Path) else io.BytesIO(file if isinstance(file, bytes) else file[1])
        try:
            with Image.open(source) as image:
                step(image)
        except Exception:  # whatever it raises, it has noticed
            return True
        return False

    return lambda files: [refused(file) for file in files]


def cleanvision(files: list) -> list[bool]:
    from cleanvision import Imagelab

    def refused(path: Path) -> bool:
        try:
            lab = Imagelab(filepaths=[str(path)], verbose=False)
            lab.find_issues(n_jobs=1, verbose=False)
        except Exception:  # the end of its run
            return True
        return False

    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with tempfile.TemporaryDirectory() as folder, quiet[0], quiet[1]:
        return [refused(_on_disk(file, Path(folder), index)) for index, file in enumerate(files)]


def _on_disk(file, folder: Path, index: int) -> Path:
    if isinstance(file, Path):
        return file
    name, content = file if isinstance(file, tuple) else ("a.jpg", file)
    path = folder / f"{index}-{name}"
    path.write_bytes(content)
    return path


def judges() -> dict[str, Judge]:
    found = {
        "recipe": ours,
        "Pillow verify()": _pillow(lambda image: image.verify()),
        "Pillow load()": _pillow(lambda image: image.load()),
    }
    with contextlib.suppress(ImportError):
        import cleanvision as _  # noqa: F401

        found["cleanvision"] = cleanvision
    return found


def spent(work: Callable) -> tuple[float, object]:
    """(CPU seconds of this process and the workers that ended meanwhile, what `work` returned)."""

    def now() -> float:
        own, workers = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        return own.ru_utime + own.ru_stime + workers.ru_utime + workers.ru_stime

    start = now()
    result = work()
    return now() - start, result


def of_the_zoo() -> str:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        animals = zoo(Path(folder))
        files = [odd.file for odd in animals.values()]
        bad = [bool(odd.problem) for odd in animals.values()]
        exact = sum(_exact(odd, found) for odd, found in zip(animals.values(), decode(files), strict=True))
        for name, judge in judges().items():
            # the others would wait at the pipe for ever
            askable = [i for i, f in enumerate(files) if name == "recipe" or not _endless(f)]
            refused = judge([files[i] for i in askable])
            caught = sum(r and bad[i] for r, i in zip(refused, askable, strict=True))
            accepted = sum(not r and not bad[i] for r, i in zip(refused, askable, strict=True))
            word = f"{exact} of {len(files)}" if name == "recipe" else "-"
            of_bad, of_good = sum(bad[i] for i in askable), sum(not bad[i] for i in askable)
            rows.append(f"| {name} | {caught} of {of_bad} | {accepted} of {of_good} | {word} |")
    head = "| zoo | unusable files refused | usable files accepted | the very problem and notes |\n|---|---|---|---|"
    return "\n".join([head, *rows])


def _exact(odd: Odd, found) -> bool:
    return found.problem == odd.problem and (bool(odd.problem) or found.notes == odd.notes)


def _endless(file) -> bool:
    return isinstance(file, Path) and file.name == "pipe.jpg"


def of_healthy(data: Path) -> str:
    import pyarrow.parquet as parquet

    small = [b for part in ("train", "test") for b in _column(parquet, data / f"cifar10/{part}_jpeg.parquet")]
    large = photographs(data)
    rows = []
    for name, judge in judges().items():
        few = small if name == "recipe" else small[:10_000] if name != "cleanvision" else []
        seconds, refused = spent(lambda few=few, judge=judge: judge(few))
        each, refused_large = spent(lambda judge=judge: judge(large))
        cost = f"{1e3 * seconds / len(few):.2f}" if few else "-"
        alarms = f"{sum(refused):,} of {len(few):,}" if few else "-"
        of_large = f"{sum(refused_large)} of {len(large)}"
        rows.append(f"| {name} | {alarms} | {cost} | {of_large} | {1e3 * each / len(large):.1f} |")
    seconds, memory = spent(lambda: streamed(large * STREAMED))
    head = "| healthy | refused, CIFAR JPEGs | CPU ms each | refused, photographs | CPU ms each |"
    last = f"{len(large) * STREAMED:,} photographs streamed: {seconds:.0f} CPU-s, at most {memory:.0f} MB in the worker"
    return "\n".join([head, "|---|---|---|---|---|", *rows, "", last])


def streamed(files: list[bytes]) -> float:
    """MB: the most that the worker held while it decoded all of them."""
    status = ""
    for number, _ in enumerate(decode(files)):
        if number == len(files) - 1:  # the worker lives until one more is asked for
            tasks = Path("/proc/self/task").iterdir()
            (worker,) = [pid for task in tasks for pid in (task / "children").read_text().split()]
            status = Path(f"/proc/{worker}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _column(parquet, path: Path) -> list[bytes]:
    return parquet.read_table(path, columns=["image"])["image"].to_pylist()


def photographs(data: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((data / "natural_ants_bees").rglob("*.jpg"))]


def damaged(content: bytes, kind: str, rng: np.random.Generator) -> bytes:
    start = content.index(b"\xff\xda") + 14  # behind the header of the first scan
    broken = bytearray(content)
    if kind == "last 10 % missing":
        return content[: len(content) * 9 // 10]
    if kind == "4 kB of zeros":
        length = min(4096, (len(content) - start) // 2)
        at = int(rng.integers(start, len(content) - 2 - length))
        broken[at : at + length] = bytes(length)
    else:
        for at in rng.integers(start, len(content) - 2, 5 if kind == "five bytes" else 1):
            broken[at] = rng.integers(256) if kind == "five bytes" else broken[at] ^ (1 << int(rng.integers(8)))
    return bytes(broken)


def visible(before: bytes, after: bytes) -> bool:
    try:
        old, new = (np.asarray(Image.open(io.BytesIO(b)).convert("RGB"), np.int16) for b in (before, after))
    except Exception:  # nothing is to be seen at all
        return True
    return bool(np.abs(old - new).mean() > VISIBLE)


def of_damage(data: Path) -> str:
    names = [name for name in judges() if name != "cleanvision"]
    rows = []
    for kind in ("4 kB of zeros", "last 10 % missing", "five bytes", "one bit"):
        rng, files = np.random.default_rng(0), []
        for content in photographs(data):
            tried = [damaged(content, kind, rng) for _ in range(PLACES if kind != "last 10 % missing" else 1)]
            files += [after for after in tried if visible(content, after)]
        shares = [f"{sum(judges()[name](files)) / len(files):.1%}" for name in names]
        rows.append(f"| {kind} | {len(files):,} | " + " | ".join(shares) + " |")
    head = "| damage in a photograph | visible | " + " | ".join(names) + " |\n|---|---|" + "---|" * len(names)
    return "\n".join([head, *rows])


def audit_files(data: Path | None) -> str:
    """The tables, as Markdown; of the zoo alone where there are no real data."""
    warnings.simplefilter("ignore")
    tables = [of_the_zoo()]
    if data is not None and (data / "natural_ants_bees").is_dir():
        tables += [of_healthy(data), of_damage(data)]
    else:
        tables.append("Healthy and damaged photographs were not measured: the folder with the real data is not there.")
    return "\n\n".join(tables)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    print(audit_files(parser.parse_args().folder))
