"""Final systems of whole pipelines on test, beside what a practitioner would try first. Prints a Markdown table.

    python benchmarks/tasks.py --data FOLDER                        # five seeds of each set, `effort: quick`
    python benchmarks/tasks.py --data FOLDER --only wine --seeds 2
    python benchmarks/tasks.py --table                              # of the results that are there, without a run

FOLDER holds abalone.csv, winequality-white.csv (both of UCI) and mammography.csv (Woods et al. 1993) without headers;
diabetes and digits come with scikit-learn. A seed of the recipe divides the data anew and seeds every training. A run
is `dvc repro` in a clone of the last commit; its result is kept in benchmarks/tasks.jsonl, and what is there does not
run again. Means and 95 % t-intervals are over seeds; the last columns are paired over seeds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/tasks.jsonl"
CHOSEN = {
    "abalone": {"name": "table", "file": "FOLDER/abalone.csv", "header": False, "target": -1},
    "wine": {"name": "table", "file": "FOLDER/winequality-white.csv", "header": False, "target": -1},
    "diabetes": {"name": "table", "file": "diabetes.csv", "target": "target"},
    "mammography": {"name": "table", "file": "FOLDER/mammography.csv", "header": False, "label": -1},
    "digits": {"name": "digits"},
}
FOLDS = {"diabetes": 5}
HEAD = ["set", "metric on test", "constant", "linear", "boosting", "untuned network", "final system", "less boosting"]
HEAD += ["less linear", "coverage of 90 % intervals", "seeds"]


def run(name: str, folder: Path | None, seed: int) -> dict:
    """The scores of the ensemble stage of one whole pipeline."""
    data = {key: str(v).replace("FOLDER", str(folder)) if key == "file" else v for key, v in CHOSEN[name].items()}
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        if name == "diabetes":
            from sklearn.datasets import load_diabetes

            load_diabetes(as_frame=True).frame.to_csv(clone / "diabetes.csv", index=False)
        params = clone / "params.yaml"
        words = yaml.safe_load(params.read_text()) | {"data": data, "seed": seed, "effort": "quick"}
        words |= {"split": {"folds": FOLDS[name]}} if name in FOLDS else {}
        words |= {} if name == "digits" else {"model": {"name": "mlp"}}
        params.write_text(yaml.safe_dump(words, sort_keys=False))
        env = os.environ | {
            "PYTHONPATH": str(clone / "src"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        done = subprocess.run(["dvc", "repro"], cwd=clone, env=env, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{name}, seed {seed}: dvc repro ended with {done.returncode}\n{done.stdout[-3000:]}")
        report = json.loads((clone / "runs/ensemble/report.json").read_text())
        before = json.loads((clone / "runs/baseline/report.json").read_text())
    metric = report["metric"][0]
    scores = {row["system"]: row[f"test_{metric['name']}"] for row in report["scores"] if "test_low" in row}
    facts = {"set": name, "seed": seed, "metric": metric["name"], "scores": scores, "findings": before["findings"][1:]}
    return facts | {"coverage": report["metrics"][0].get("test_coverage")}


def known() -> list[dict]:
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


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
    for name in CHOSEN:
        rows = [r for r in results if r["set"] == name]
        if not rows:
            continue
        columns: dict[str, list[float]] = {}
        for row in rows:
            systems = list(row["scores"])
            named = {"final": systems[-1], "untuned": next(s for s in systems if s.endswith("untuned"))}
            for other in ("constant", "gradient boosting", "ridge regression", "logistic regression", "linear"):
                if other in systems:
                    named.setdefault(other.split()[0].replace("ridge", "fit").replace("logistic", "fit"), other)
            for key, system in named.items():
                columns.setdefault(key, []).append(row["scores"][system])
        linear, boosting = columns.get("fit") or columns.get("linear"), columns.get("gradient")
        final = columns["final"]
        less = [
            interval([f - o for f, o in zip(final, other, strict=True)]) if other else ""
            for other in (boosting, linear)
        ]
        coverage = [r["coverage"] for r in rows if r["coverage"] is not None]
        cells = [name, rows[0]["metric"], *(interval(c) if c else "" for c in (columns["constant"], linear, boosting))]
        cells += [interval(columns["untuned"]), f"**{interval(final)}**", *less, interval(coverage) if coverage else ""]
        print("| " + " | ".join([*cells, str(len(rows))]) + " |")
    for row in results:
        if row["seed"] == 0 and row["findings"]:
            print(f"\n{row['set']}, seed 0: {row['findings'][0]}")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path)
    asked.add_argument("--only", nargs="+", choices=CHOSEN, default=list(CHOSEN))
    asked.add_argument("--seeds", type=int, default=5)
    asked.add_argument("--table", action="store_true")
    args = asked.parse_args()
    for seed in range(0 if args.table else args.seeds):
        for name in args.only:
            if not args.data and "FOLDER" in CHOSEN[name][0]:
                print(f"{name} is left out: it needs --data FOLDER")
            elif not any((r["set"], r["seed"]) == (name, seed) for r in known()):
                result = run(name, args.data and args.data.resolve(), seed)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    table(known())


if __name__ == "__main__":
    main()
