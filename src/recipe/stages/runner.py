"""What every stage does before and after its work: lock, seed, evidence, gates.

A stage is `@stage("name")` on a function `(cfg, run) -> Report`. Under DVC its folder is runs/<stage>/; where a user
starts the script it is Hydra's (outputs/...), so that nothing that DVC tracks is touched.
"""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import filelock
from omegaconf import DictConfig, OmegaConf

from recipe.addresses import masked, masking, remember, rewrite_masked
from recipe.config.compose import checked, home
from recipe.config.hydra_app import main, new_folder
from recipe.errors import RecipeError
from recipe.files import digest, fingerprint, write_json
from recipe.metrics.objective import HALVES, objective_of
from recipe.stages.dependencies import (
    code_and_data,
    in_dvc,
    require_composed_code,
    require_unchanged,
    tracked_files,
)
from recipe.stages.gates import message, require_open_gates
from recipe.stages.stage_report import Report as Report  # what each script hands in
from recipe.stages.torch_setup import prepare_torch
from recipe.tracking import hydra_sweep
from recipe.tracking.tracker import Tracker
from recipe.verdict import PASS, SKIP, Check, Verdict, checks_of, table, validate
from recipe.verdict import run as run_checks

if TYPE_CHECKING:
    from recipe.train.lane import Trained  # imports torch, which half of the stages do not need

EVIDENCE = ("exact.json", "report.json")  # in DVC's cache, and rounded in git
PAGES = [Path("runs/report.html"), Path("runs/report.md")]
VIEWABLE = (".png", ".svg", ".html", ".md", ".json", ".csv", ".yaml")  # what MLflow's viewer can open


@dataclass
class Run:
    """A stage at work: its config, the folder for its evidence, its device and its MLflow run."""

    stage: str
    out: Path
    tracker: Tracker
    cfg: DictConfig
    checks: dict[str, Check]  # all that the stage may run, by name
    inputs: dict[str, str]  # {file: hash} of all that the stage depends on; empty where DVC does not run it
    device: str = "cpu"
    notes: list[str] = field(default_factory=list)  # findings that the report gets beside those of the script

    @property
    def in_dvc(self) -> bool:
        return in_dvc(self.stage)

    @property
    def checkpoints(self) -> Path | None:
        """The folder for unfinished trainings, kept until the stage is done; None where DVC does not run it."""
        return self.home / ".recipe" / "lanes" / f"{self.stage}-{fingerprint(self.inputs)}" if self.in_dvc else None

    @property
    def code_and_data(self) -> dict[str, str]:
        """{file: hash} of what the stage depends on, its config aside."""
        return code_and_data(self.stage, self.cfg)

    @property
    def home(self) -> Path:
        return home()

    def say(self, *texts: str) -> None:
        """A line of progress for each."""
        for text in texts:
            print(f"{self.stage:<10} {text}", flush=True)

    def note(self, text: str) -> None:
        """A finding of the report, and a line of progress; nothing where the text is empty."""
        if text:
            self.notes.append(text)
            self.say(text)

    def lane(
        self, name: str, trained: "Trained", params: dict, *, early_stopping: bool = False, main: bool = False
    ) -> None:
        """Reports a training that is done: a progress line, and a child run with its curve."""
        from recipe.train.lane import metric_of  # imports torch, which half of the stages do not need

        row, best = trained.row(early_stopping), trained.best_evaluation
        metric = f"val_{metric_of(row)}"
        shown = ("train_loss", "val_loss", metric)
        numbers = "  ".join(f"{k} {row[k]:.4f}" for k in shown)
        self.say(f"{name:<30} {row['epoch']:>6.4g} passes  {numbers}  {trained.ended}")
        curve = [{k: v for k, v in r.items() if not k.endswith(HALVES)} for r in trained.curve]
        first = ("val_loss", metric, "train_loss")  # MLflow's compare view starts with the first
        metrics = {k: row[k] for k in first} | {f"best/{k}": best[k] for k in ("step", *first)}
        self.tracker.lane(name, params, metrics, curve, main=main, seconds=trained.seconds)

    def judge(self, claims: ModuleType, subject: Any) -> list[Verdict]:
        """The verdicts of a module's checks on `subject`, under the limits and waivers of the stage's config."""
        return run_checks(checks_of(claims), subject, waive=self.cfg.waive, **self.limits)

    @property
    def limits(self) -> dict[str, Any]:
        """The limits in conf for the stage's checks, as `verdict.run` and `examine` take them."""
        return {"limits": self.cfg.checks, "known": self.checks, "where": f"conf/{self.stage}.yaml"}

    def show(self, verdict: Verdict) -> None:
        """Progress: one line per check, as it is known."""
        self.say(f"{verdict.mark:<9} {verdict.check:<28} {verdict.shown:<14} {verdict.bound}")


Body = Callable[[DictConfig, Run], Report]


def stage(name: str, checks: dict[str, Check]) -> Callable[[Body], Callable[[], None]]:
    """Decorator: `body(cfg, run) -> Report` becomes the stage's script, guarded from start to gates.

    checks: all that the stage may run, by name; limits and waivers in conf are compared with them at the start.
    """

    def wrap(body: Body) -> Callable[[], None]:
        @functools.wraps(body)
        def guarded(cfg: DictConfig) -> float | None:
            if not in_dvc(name):
                _mask_hydra_files(cfg)
            try:
                with _locked(name):
                    cfg = checked(cfg)
                    validate(checks, cfg.checks, cfg.waive, f"conf/{name}.yaml or params.yaml")
                    return run_stage(name, checks, body, cfg)
            except RecipeError as error:
                _end(f"{name}: {error}")
            except Exception:
                if not hydra_sweep.is_job():
                    raise
                _end(traceback.format_exc())
            except KeyboardInterrupt:
                sys.exit(f"\n{name}: interrupted. Nothing of this stage counts as run; `dvc repro` starts it again.")
            return None

        entry = main(name)(guarded)

        @functools.wraps(body)
        def script() -> None:
            with masking():
                try:
                    entry()
                finally:
                    ended = sys.exc_info()[1]
                    failed = hydra_sweep.close("" if ended is None else str(ended) or type(ended).__name__)
                if failed:
                    sys.exit(failed)

        return script

    return wrap


def run_stage(name: str, checks: dict[str, Check], body: Body, cfg: DictConfig) -> float | None:
    """Runs a stage from its first check of the inputs to its gates; gives what a sweeper of Hydra minimises."""
    tracked = tracked_files(name)
    before = digest(tracked)
    require_composed_code(name, before)
    require_open_gates(name)
    out = _empty_folder(name)
    tracker = Tracker(cfg, name, _run_name(name), commit=_commit(), folder=str(out))
    try:
        run = Run(name, out, tracker, cfg, checks, before, device=prepare_torch(cfg) if "train" in cfg else "cpu")
        if not run.in_dvc:
            run.say(f"writes to {out}")
        report = body(cfg, run)
        report.findings += run.notes
        require_unchanged(tracked, before)
        _write_evidence(report, run)
    except BaseException as error:
        tracker.fail("".join(traceback.format_exception(error)))
        raise
    closed = [v for v in report.checks if v.closes]
    if closed and run.in_dvc:
        # in another process: a page's template is not an input of the stage
        subprocess.run([sys.executable, "-m", "recipe.stages.report"], check=False, timeout=60)
        report.pages += PAGES
    key = fingerprint(report.committed(name))
    tracker.finish(report.exact(name), key, _viewable(out) + report.pages, out, failed=bool(closed))
    print(_summary(name, report), flush=True)
    if closed:
        _end(message(name, closed, out, page=run.in_dvc))
        return None
    try:
        require_unchanged(tracked, before)  # once more: logging takes seconds, and DVC hashes after all of it
    except RecipeError:
        tracker.fail(traceback.format_exc())
        raise
    objective = objective_of(cfg.get("judged_by", ""), report.metric)
    return objective.cost(report.metrics) if objective.column in report.metrics else None


def _empty_folder(name: str) -> Path:
    """Where the stage writes, without the evidence of an earlier run."""
    out = Path("runs", name) if in_dvc(name) else _hydra_folder()
    out.mkdir(parents=True, exist_ok=True)
    for file in (*EVIDENCE, hydra_sweep.FAILED):
        (out / file).unlink(missing_ok=True)
    return out


def _write_evidence(report: Report, run: Run) -> None:
    for file, content in zip(EVIDENCE, (report.exact(run.stage), report.committed(run.stage)), strict=True):
        write_json(run.out / file, content)
    if run.checkpoints:
        shutil.rmtree(run.checkpoints, ignore_errors=True)


def _summary(name: str, report: Report) -> str:
    """How many checks hold, each check in a line, and what the stage shows last."""
    held, skipped = (sum(v.verdict == kind for v in report.checks) for kind in (PASS, SKIP))
    tried = len(report.checks) - skipped
    lines = [f"{name}: {held} of {tried} checks hold" if tried else f"{name}: nothing to check", table(report.checks)]
    return "\n".join([*lines, "", report.ending] if report.ending else lines)


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    """One process a stage: a DVC killed with -9 leaves the stage's process alive, and a rerun would write beside it."""
    if not in_dvc(name):
        yield
        return
    file = Path(".recipe/locks", name)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = filelock.FileLock(file).acquire(blocking=False)  # the kernel releases it, whatever ends this process
    except filelock.Timeout:
        raise RecipeError(
            f"another process of this stage (pid {file.read_text() or 'unknown'}) is still running in this folder. "
            "Wait for it, or end it."
        ) from None
    with held:
        file.write_text(str(os.getpid()))
        yield


def _hydra_folder() -> Path:
    from hydra.core.hydra_config import HydraConfig

    folder = Path(os.path.relpath(HydraConfig.get().runtime.output_dir))
    # DVC's command, typed by a user, has the root as its folder
    return new_folder(Path("outputs", HydraConfig.get().job.name)) if folder == Path(".") else folder


def _mask_hydra_files(cfg: DictConfig) -> None:
    """Removes passwords from the config and the command line as Hydra writes them."""
    from hydra.core.hydra_config import HydraConfig

    for address in (OmegaConf.select(cfg, key) for key in ("runtime.mlflow.uri", "runtime.storage")):
        if isinstance(address, str):
            remember(address)  # a blank or a quote in a password would be taken for its end
    hydra = HydraConfig.get()
    kept = Path(hydra.runtime.output_dir, hydra.output_subdir).glob("*.yaml") if hydra.output_subdir else ()
    rewrite_masked([*kept, hydra_sweep.all_words(Path(hydra.runtime.cwd, hydra.sweep.dir))])


def _run_name(name: str) -> str:
    """The stage's name, or the overrides that a user typed, cut to what a table shows."""
    from hydra.core.hydra_config import HydraConfig

    words: Any = [] if in_dvc(name) else OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    text = masked(",".join(words) or name)  # before it is cut, maybe within an address
    return text if len(text) <= 100 else f"{text[:97]}..."


def _commit() -> str:
    """The git commit, with + where the tree has edits; empty outside git."""
    try:
        out = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"],
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return out.stdout.strip() if out.returncode == 0 else ""


def _viewable(out: Path) -> list[Path]:
    return [f for f in sorted(out.rglob("*")) if f.suffix in VIEWABLE and not f.name.startswith(".")]


def _end(text: str) -> None:
    """Ends the process with exit code 1; a job of a multirun leaves its message in its folder, and the others run."""
    if not hydra_sweep.is_job():
        sys.exit(text)
    print(text, file=sys.stderr, flush=True)
    hydra_sweep.fail_job(text)
