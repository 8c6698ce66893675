"""Final systems of whole pipelines on test, beside what a practitioner would try first. Prints a Markdown table.

    python benchmarks/tasks.py --data FOLDER                        # five seeds of each set, `effort: quick`
    python benchmarks/tasks.py --data FOLDER --only wine --seeds 2
    python benchmarks/tasks.py --table                              # of the results that are there, without a run

FOLDER holds tabular/abalone.csv and winequality-white.csv (both of UCI) and mammography.csv (Woods et al. 1993) without
headers; text/sms_spam.tsv (UCI) and text/sst2/{train,dev,test}.tsv (Socher et al. 2013);
fashion_mnist/train_images.npy.xz and train_labels.npy (Xiao et al. 2017); cifar10/train_jpeg.parquet (Krizhevsky 2009),
with the columns image and label. Diabetes and digits come with scikit-learn. A seed of the recipe divides the data
anew, except SST-2 with its given splits, and seeds every training. A run is `dvc repro` in a clone of the last commit;
its result is kept in benchmarks/tasks.jsonl, and what is there does not run again. Means and 95 % t-intervals are over
seeds; differences are paired over seeds.
"""

import argparse
import csv
import json
import lzma
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/tasks.jsonl"
HEAD = ["set", "metric on test", "constant", "linear", "strong baseline", "untuned network", "final system"]
HEAD += ["less strong baseline", "less linear", "coverage of 90 % intervals", "CPU minutes", "seeds"]
LINEAR = "ridge regression", "logistic regression", "TF-IDF of words", "linear"
STRONG = "gradient boosting", "TF-IDF of words and characters"


@dataclass(frozen=True)
class DataSet:
    """words: of params.yaml, where FOLDER is the folder of the data. make: (folder, clone) writes what it lacks."""

    words: dict[str, Any]
    make: Callable[[Path | None, Path], None] = lambda folder, clone: None

    @property
    def needs_folder(self) -> bool:
        return self.make is not diabetes and self.words["data"]["name"] != "digits"


def diabetes(folder: Path | None, clone: Path) -> None:
    from sklearn.datasets import load_diabetes

    load_diabetes(as_frame=True).frame.to_csv(clone / "diabetes.csv", index=False)


def sst2(folder: Path | None, clone: Path) -> None:
    """Without the sentences of dev that are in test, and those of train that are in either: a gate closes on them."""
    assert folder
    rows, seen = [], set()
    for part in ("test", "dev", "train"):
        lines = [line.rsplit("\t", 1) for line in (folder / f"text/sst2/{part}.tsv").read_text().splitlines()]
        rows += [[text, label, part] for text, label in lines if _letters(text) not in seen]
        seen |= {_letters(text) for text, _ in lines}
    with (clone / "sst2.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label", "split"], *rows])


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def fashion(folder: Path | None, clone: Path) -> None:
    """The first 10,000 of the training images."""
    import numpy as np

    assert folder
    with lzma.open(folder / "fashion_mnist/train_images.npy.xz") as file:
        images = np.load(file, allow_pickle=False)
    labels = np.load(folder / "fashion_mnist/train_labels.npy", allow_pickle=False)
    np.savez(clone / "fashion.npz", x=images[:10_000], y=labels[:10_000])


def cifar(folder: Path | None, clone: Path, count: int = 5000) -> None:
    """The first of the training images."""
    from pyarrow import parquet

    assert folder
    rows = parquet.read_table(folder / "cifar10/train_jpeg.parquet", columns=["image", "label"])
    parquet.write_table(rows.slice(0, count), clone / "cifar.parquet")


def table_of(file: str, **more: Any) -> dict[str, Any]:
    return {"data": {"name": "table", "file": f"FOLDER/tabular/{file}.csv", "header": False, **more}, "model": "mlp"}


SMS = {"name": "text", "file": "FOLDER/text/sms_spam.tsv", "header": False, "label": 0, "text": 1, "quoted": False}
SETS = {
    "abalone": DataSet(table_of("abalone", target=-1)),
    "wine": DataSet(table_of("winequality-white", target=-1)),
    "diabetes": DataSet(
        {
            "data": {"name": "table", "file": "diabetes.csv", "target": "target"}, "model": "mlp",
            "split": {"folds": 5},
        },
        diabetes,
    ),
    "mammography": DataSet(table_of("mammography", label=-1)),
    "digits": DataSet({"data": {"name": "digits"}}),
    "sms spam": DataSet({"data": SMS, "model": "bag"}),
    "sst-2": DataSet({"data": {"name": "text", "file": "sst2.csv", "split": "split"}, "model": "bag"}, sst2),
    "fashion": DataSet({"data": {"name": "arrays", "file": "fashion.npz"}}, fashion),
    "cifar-10": DataSet(
        {"data": {"name": "parquet", "file": "cifar.parquet"}, "model": {"name": "resnet9", "width": 16}}, cifar
    ),
}  # fmt: skip


def run(name: str, chosen: DataSet, folder: Path | None, seed: int) -> dict:
    """The scores of the ensemble stage of one whole pipeline."""
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        chosen.make(folder, clone)
        params = clone / "params.yaml"
        words = yaml.safe_load(params.read_text()) | chosen.words | {"seed": seed, "effort": "quick"}
        words = yaml.safe_load(yaml.safe_dump(words, sort_keys=False).replace("FOLDER", str(folder)))
        params.write_text(yaml.safe_dump(words, sort_keys=False))
        env = os.environ | {
            "PYTHONPATH": str(clone / "src"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        began = _cpu_seconds()
        done = subprocess.run(["dvc", "repro"], cwd=clone, env=env, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{name}, seed {seed}: dvc repro ended with {done.returncode}\n{done.stdout[-3000:]}")
        minutes = (_cpu_seconds() - began) / 60
        report = json.loads((clone / "runs/ensemble/report.json").read_text())
        before = json.loads((clone / "runs/baseline/report.json").read_text())
    metric = report["metric"][0]
    scores = {row["system"]: row[f"test_{metric['name']}"] for row in report["scores"] if "test_low" in row}
    facts = {"set": name, "seed": seed, "metric": metric["name"], "scores": scores, "findings": before["findings"][1:]}
    return facts | {"coverage": report["metrics"][0].get("test_coverage"), "cpu_minutes": round(minutes, 1)}


def _cpu_seconds() -> float:
    """Of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def known(file: Path = RESULTS) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def interval(values: list[float], digits: int = 3) -> str:
    """Mean and 95 % t-interval over seeds."""
    from scipy.stats import t

    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.{digits}f}"
    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.{digits}f} ({mean - half:.{digits}f} to {mean + half:.{digits}f})"


def table(results: list[dict]) -> None:
    print("| " + " | ".join(HEAD) + " |", "| " + " | ".join("---" for _ in HEAD) + " |", sep="\n")
    for name in SETS:
        rows = [r for r in results if r["set"] == name]
        if not rows:
            continue
        columns: dict[str, list[float]] = {}
        for row in rows:
            systems = list(row["scores"])
            named = {"final": systems[-1], "untuned": next(s for s in systems if s.endswith("untuned"))}
            named |= {"constant": "constant", "linear": next(s for s in LINEAR if s in systems)}
            named |= {"strong": next(s for s in STRONG if s in systems)} if set(STRONG) & set(systems) else {}
            for key, system in named.items():
                columns.setdefault(key, []).append(row["scores"][system])
        linear, strong, final = columns["linear"], columns.get("strong"), columns["final"]
        less = [
            interval([f - o for f, o in zip(final, other, strict=True)]) if other else "" for other in (strong, linear)
        ]
        coverage = [r["coverage"] for r in rows if r["coverage"] is not None]
        cells = [name, rows[0]["metric"], *(interval(c) if c else "" for c in (columns["constant"], linear, strong))]
        cells += [interval(columns["untuned"]), f"**{interval(final)}**", *less, interval(coverage) if coverage else ""]
        minutes = [r["cpu_minutes"] for r in rows if "cpu_minutes" in r]
        cells += [f"{statistics.fmean(minutes):.1f}" if minutes else "", str(len(rows))]
        print("| " + " | ".join(cells) + " |")
    for row in results:
        if row["seed"] == 0 and row["findings"]:
            print(f"\n{row['set']}, seed 0: {row['findings'][0]}")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path)
    asked.add_argument("--only", nargs="+", choices=SETS, default=list(SETS))
    asked.add_argument("--seeds", type=int, default=5)
    asked.add_argument("--table", action="store_true")
    args = asked.parse_args()
    for seed in range(0 if args.table else args.seeds):
        for name in args.only:
            if not args.data and SETS[name].needs_folder:
                print(f"{name} is left out: it needs --data FOLDER")
            elif not any((r["set"], r["seed"]) == (name, seed) for r in known()):
                result = run(name, SETS[name], args.data and args.data.resolve(), seed)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    table(known())


if __name__ == "__main__":
    main()
