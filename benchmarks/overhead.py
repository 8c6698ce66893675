"""What the recipe costs beside a bare torch loop. Prints Markdown tables; CPU time, one thread, medians over rounds.

    python benchmarks/overhead.py                         # everything, 3 rounds
    python benchmarks/overhead.py --rounds 1 --stages baseline overfit

It works in a temporary copy of this repository. After each training of a stage the same lanes are trained once more,
in the same process, by a bare loop: lane after lane, with the same first weights, batch size, steps and evaluations,
without config, logging, gates or figures. Imports are left out of a stage's time and have a separate column: the
largest, torch's compiler, comes with any first optimizer. On shared cores only the ratios mean much.
"""

import argparse
import functools
import inspect
import json
import os
import resource
import runpy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("prepare", "embed", "audit", "split", "baseline", "overfit", "regularize", "tune", "ensemble", "report")
IMPORTS = "import torch, mlflow"
# A stage's start: all that happens before its own work, which begins with its Run.
START = """
import os, runpy, sys
from recipe.stages import runner
runner.Run = lambda *args, **kwargs: os._exit(0)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


# ---- a stage and its bare loop, in a process of their own ------------------------------------------------------


def clock() -> float:
    """CPU seconds of this process and of its finished children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Stopwatch:
    """CPU seconds by section. A section inside another counts for the outer one; imports and bare loops for neither."""

    def __init__(self):
        self.spent, self.open, self.importing = defaultdict(float), None, 0

    @contextmanager
    def section(self, name: str):
        if self.open:
            yield
            return
        self.open, began, aside = name, clock(), self.aside
        try:
            yield
        finally:
            self.open = None
            self.spent[name] += clock() - began - (self.aside - aside)

    @property
    def aside(self) -> float:
        return self.spent["imports"] + self.spent["apart"]

    def around(self, owner, attribute: str, name: str) -> None:
        """Counts every call of `owner.attribute` for a section."""
        function = getattr(owner, attribute)

        @functools.wraps(function)
        def timed(*args, **kwargs):
            with self.section(name):
                return function(*args, **kwargs)

        setattr(owner, attribute, timed)

    def count_imports(self) -> None:
        machinery = sys.modules["_frozen_importlib"]
        find = machinery._find_and_load  # called where a module is not loaded yet, by every form of import

        def timed(*args):
            began, self.importing = clock(), self.importing + 1
            try:
                return find(*args)
            finally:
                self.importing -= 1
                if not self.importing:
                    self.spent["imports"] += clock() - began

        machinery._find_and_load = timed


def with_twins(train, watch: Stopwatch, found: dict):
    """`train`, and after each call the same lanes bare. Side by side in time, for shared cores change their speed."""
    import torch

    def both(lanes, part, val, **more):
        began = clock()
        twins = deepcopy(lanes)  # before their first step
        watch.spent["apart"] += clock() - began
        trained = train(lanes, part, val, **more)
        began = clock()
        mode = torch.get_deterministic_debug_mode()
        torch.set_deterministic_debug_mode("default")
        with torch.random.fork_rng():
            started = clock()
            for lane, done in zip(twins, trained, strict=True):
                bare(lane, part, val, done.curve[-1]["step"], max(1, round(lane.eval_every)))
            found["bare"] += clock() - started
        torch.set_deterministic_debug_mode(mode)
        found["lanes"] += len(lanes)
        found["steps"] += sum(t.curve[-1]["step"] for t in trained)
        watch.spent["apart"] += clock() - began
        return trained

    return both


def bare(lane, part, val, steps: int, eval_every: int) -> None:
    """What one would write in a notebook."""
    import torch

    from recipe import rng
    from recipe.train import augment

    model, optimizer, order = lane.model, lane.optimizer, torch.Generator().manual_seed(lane.seed)
    views = rng.keys([lane.seed], "augment")[0].to(part.y.device)

    def evaluate():
        model.eval()
        with torch.no_grad():
            for split in (part, val):
                logits = torch.cat([model(b) for b in split.x.split(1000)])
                labels = split.y if split.y.ndim == 1 else split.y.argmax(1)  # a student's are probabilities
                lane.loss(logits, split.y).item(), (logits.argmax(1) == labels).float().mean().item()
        model.train()

    evaluate()
    done = 0
    while done < steps:
        for index in torch.randperm(len(part), generator=order).split(lane.batch_size):
            x, y = part.x[index], part.y[index]
            if lane.augment:
                x = augment.apply(lane.augment, x, rng.fold(views, done))
            optimizer.zero_grad(set_to_none=True)
            lane.loss(model(x), y).backward()
            optimizer.step()
            done += 1
            if done % eval_every == 0 or done == steps:
                evaluate()
            if done == steps:
                break


def measure(name: str) -> dict[str, float]:
    """CPU seconds of one stage of the repository in the current folder, by section, and of its trainings, bare."""
    watch, found = Stopwatch(), dict.fromkeys(("bare", "lanes", "steps"), 0)
    watch.count_imports()
    sys.argv = [f"pipeline/{name}.py", "-cp", "../resolved", "-cn", name]
    from recipe import explorer, verdict
    from recipe.plots import examples, training
    from recipe.stages import runner
    from recipe.stages.audit import figures as audit_figures
    from recipe.stages.ensemble import figures as ensemble_figures
    from recipe.stages.regularize import figures as regularize_figures
    from recipe.stages.report import render
    from recipe.stages.tune import figures as tune_figures
    from recipe.tracking.tracker import Tracker
    from recipe.train import engine

    watch.around(engine, "train", "training")
    engine.train = with_twins(engine.train, watch, found)
    watch.around(verdict, "run", "gates")
    for module in (
        examples,
        regularize_figures,
        ensemble_figures,
        tune_figures,
        training,
        audit_figures,
        explorer,
        render,
    ):
        for function, value in list(vars(module).items()):
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                watch.around(module, function, "pictures")
    for method in ("__init__", "lane", "data", "model", "finish"):
        watch.around(Tracker, method, "logging")
    run = runner.run_stage

    def timed(*args):
        began, before = clock(), dict(watch.spent)
        try:
            return run(*args)
        finally:
            found["imports"] = watch.spent["imports"] - before.get("imports", 0)
            found["stage"] = clock() - began - found["imports"] - watch.spent["apart"]

    runner.run_stage = timed
    runpy.run_path(sys.argv[0], run_name="__main__")
    return found | {k: watch.spent[k] for k in ("training", "gates", "pictures", "logging")}


# ---- processes ---------------------------------------------------------------------------------------------------


def environment(folder: Path, **more: str) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_", "RECIPE_"))}
    paths = {"PYTHONPATH": str(folder / "src"), "PATH": f"{Path(sys.executable).parent}:{own['PATH']}"}
    return own | paths | {"MLFLOW_DISABLE_TELEMETRY": "true", **more}


def cost(command: list[str], folder: Path, **more: str) -> float:
    """CPU seconds of a process and of all that it starts. Stops where it fails."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=folder, env=environment(folder, **more), stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(command)[:200]}\n{output.read().decode()[-3000:]}")
    return used.ru_utime + used.ru_stime


def copy_of_the_repository(to: Path) -> Path:
    """What git tracks or would track, with edits, as a separate repository without any result."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("runs/") and name != "dvc.lock":
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=to, check=True)
    return to


def run_stage(name: str, folder: Path) -> dict[str, float]:
    result = folder / ".overhead.json"
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", name, "--result", str(result)]
    cost(command, folder, DVC_STAGE=name)
    return json.loads(result.read_text())


def start_of(name: str, folder: Path) -> float:
    """CPU seconds until the stage begins its own work; its report.json, which a start removes, is put back."""
    report = folder / "runs" / name / "report.json"
    kept = report.read_bytes()
    command = [sys.executable, "-c", START, f"pipeline/{name}.py", "-cp", "../resolved", "-cn", name]
    seconds = cost(command, folder, DVC_STAGE=name)
    report.write_bytes(kept)
    return seconds


# ---- tables ------------------------------------------------------------------------------------------------------


def table(head: tuple[str, ...], rows: list[tuple]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def stages_table(found: dict[str, list[dict]]) -> str:
    """A row per stage, and one for all of them; each ratio is the median of those within a round."""
    for r in (r for rounds in found.values() for r in rounds):
        r["without gates"] = r["stage"] - r["gates"]
    together = [{k: sum(r[k] for r in rs) for k in rs[0]} for rs in zip(*found.values(), strict=True)]
    rows = []
    for name, rounds in (found | {"**all**": together}).items():
        middle = {k: statistics.median(r[k] for r in rounds) for k in rounds[0]}
        row = [
            name,
            f"{middle['lanes']:.0f}",
            f"{middle['steps']:,.0f}",
            f"{middle['bare']:.1f}",
            f"{middle['stage']:.1f}",
        ]
        for part in ("stage", "without gates", "training"):
            ratios = [r[part] / r["bare"] for r in rounds if r["bare"]]
            row.append(f"{statistics.median(ratios):.2f}" if ratios else "")
        row += [f"{middle[k] / middle['stage']:.1%}" for k in ("training", "gates", "pictures", "logging")]
        rows.append([*row, f"{middle['imports']:.1f}"])
    head = ("stage", "lanes", "steps", "bare, s", "stage, s", "stage / bare", "without gates", "its training / bare",
            "training", "gates", "pictures", "logging", "imports, s")  # fmt: skip
    return table(head, rows)


def starts_table(found: dict[str, list[float]]) -> str:
    rows = []
    for name, of in (("dvc repro, nothing to do", "import torch"), *((s, IMPORTS) for s in STAGES)):
        if name in found:
            ratios = [a / b for a, b in zip(found[name], found[of], strict=True)]
            what = name if " " in name else f"start of pipeline/{name}.py"
            rows.append((what, f"{statistics.median(found[name]):.2f}", f'python -c "{of}"',
                         f"{statistics.median(found[of]):.2f}", f"{statistics.median(ratios):.2f}"))  # fmt: skip
    return table(("what", "s", "beside", "s", "ratio"), rows)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", nargs="*", default=STAGES, choices=STAGES, help="stages to measure; default all")
    parser.add_argument("--starts", nargs="*", default=STAGES, choices=STAGES, help="stage starts to measure")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--result", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        Path(options.result).write_text(json.dumps(measure(options.measure)))
        return
    stages, starts = defaultdict(list), defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        folder = copy_of_the_repository(Path(folder))
        cost(["dvc", "repro"], folder)  # what the stages read, the store, and what `nothing to do` needs
        for i in range(options.rounds):
            for name in options.stages:
                stages[name].append(run_stage(name, folder))
                say(f"round {i + 1}: {name} {stages[name][-1]['stage']:.1f} s, bare {stages[name][-1]['bare']:.1f} s")
            for code in ("import torch", IMPORTS):
                starts[code].append(cost([sys.executable, "-c", code], folder))
            for name in options.starts:
                starts[name].append(start_of(name, folder))
            cost(["dvc", "repro"], folder)  # the measured stages wrote their outputs anew: hashes them once
            starts["dvc repro, nothing to do"].append(cost(["dvc", "repro"], folder))
            say(f"round {i + 1}: starts " + ", ".join(f"{k} {v[-1]:.2f}" for k, v in starts.items()))
    if stages:
        print(stages_table(stages) + "\n")
    print(starts_table(starts))


if __name__ == "__main__":
    main()
