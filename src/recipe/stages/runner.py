"""What every stage does before and after its own work: lock, seed, evidence, gates.

A stage is `@stage("name")` on a function `(cfg, run) -> Report`. Under DVC its folder is runs/<stage>/; started by
hand, Hydra's (outputs/...), so that nothing DVC tracks is touched.
"""

import contextlib
import ctypes
import functools
import os
import shutil
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import filelock
from omegaconf import OmegaConf

from recipe.addresses import masked, masking, remember, rewrite_masked
from recipe.config import code_manifest
from recipe.config.compose import STAGES, checked, home, load
from recipe.config.hydra_app import main, new_folder
from recipe.config.instantiate import plain_all
from recipe.errors import RecipeError
from recipe.files import digest, fingerprint, present, read_json, write_json
from recipe.stages.stage_report import Report as Report  # what each script hands in
from recipe.tracking import hydra_sweep
from recipe.tracking.tracker import Tracker
from recipe.verdict import PASS, SKIP, Verdict, checks_of, explained, table, validate
from recipe.verdict import run as run_checks

EVIDENCE = ("exact.json", "report.json")  # in DVC's cache, and rounded in git
PAGES = [Path("runs/report.html"), Path("runs/report.md")]
SHOWN = (".png", ".svg", ".html", ".md", ".json", ".csv", ".yaml")  # evidence that MLflow's viewer can open
DETERMINISTIC = {"strict": "error", "warn": "warn", "off": "default"}  # torch's words for what conf/runtime says


@dataclass
class Run:
    """A stage at work: where its evidence goes, on which device, and its line to MLflow."""

    stage: str
    out: Path
    tracker: Tracker
    cfg: object
    checks: dict  # all that the stage may run, by name
    inputs: dict[str, str]  # {file: hash} of all that the stage depends on; empty when started by hand
    device: str = "cpu"

    @property
    def in_dvc(self) -> bool:
        return in_dvc(self.stage)

    @property
    def checkpoints(self) -> Path | None:
        """Where trainings half done are kept until the stage is done; None when started by hand."""
        return self.home / ".recipe" / "lanes" / f"{self.stage}-{fingerprint(self.inputs)}" if self.in_dvc else None

    @property
    def code_and_data(self) -> dict[str, str]:
        """{file: hash} of what the stage depends on, its config aside."""
        return code_and_data(self.stage, self.cfg)

    @property
    def home(self) -> Path:
        return home()

    def say(self, text: str) -> None:
        print(f"{self.stage:<10} {text}", flush=True)

    def lane(self, name: str, trained, params: dict, *, early_stopping: bool = False, main: bool = False) -> None:
        """One training is done: a progress line, and a child run with its curve."""
        row, best = trained.row(early_stopping), trained.curve[trained.best_row]
        shown = ("train_loss", "val_loss", "val_accuracy")
        numbers = "  ".join(f"{k} {row[k]:.4f}" for k in shown)
        self.say(f"{name:<30} {row['step']:>5} steps  {numbers}  {trained.ended}")
        curve = [{k: v for k, v in r.items() if k not in ("val_loss_a", "val_loss_b")} for r in trained.curve]
        first = ("val_loss", "val_accuracy", "train_loss")  # MLflow's compare view starts with the first
        metrics = {k: row[k] for k in first} | {f"best/{k}": best[k] for k in ("step", *first)}
        self.tracker.lane(name, params, metrics, curve, main=main, seconds=trained.seconds)

    def judge(self, claims: ModuleType, subject) -> list[Verdict]:
        """The verdicts of a module's checks on `subject`, under the limits and waivers of the stage's config."""
        return run_checks(checks_of(claims), subject, waive=self.cfg.waive, **self.limits)

    @property
    def limits(self) -> dict:
        """What conf says of the stage's checks, as `verdict.run` and `examine` take it."""
        return {"limits": self.cfg.checks, "known": self.checks, "where": f"conf/{self.stage}.yaml"}

    def show(self, verdict: Verdict) -> None:
        """Progress: one line per check, as it is known."""
        self.say(f"{verdict.mark:<9} {verdict.check:<28} {verdict.shown:<14} {verdict.bound}")


def stage(name: str, checks: dict):
    """Decorator: `body(cfg, run) -> Report` becomes the stage's script, guarded from start to gates.

    checks: all that the stage may run, by name: what conf limits or waives is compared before any work is done.
    """

    def wrap(body):
        @functools.wraps(body)
        def guarded(cfg):
            if not in_dvc(name):
                _mask_hydra_files(cfg)
            try:
                with _locked(name):
                    cfg = checked(cfg)
                    validate(checks, cfg.checks, cfg.waive, f"conf/{name}.yaml or params.yaml")
                    return _run(name, checks, body, cfg)
            except RecipeError as error:
                return _end(f"{name}: {error}")
            except Exception:
                if hydra_sweep.is_job():
                    return _end(traceback.format_exc())
                raise
            except KeyboardInterrupt:
                sys.exit(f"\n{name}: interrupted. Nothing of this stage counts as run; `dvc repro` takes it up again.")

        entry = main(name)(guarded)

        @functools.wraps(body)
        def script():
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


def _run(name: str, checks: dict, body, cfg):
    tracked = _dvc_inputs(name)
    before = digest(tracked)
    _require_composed_code(name, before)
    _require_open_gates(name)
    out = Path("runs", name) if in_dvc(name) else _hydra_folder()
    out.mkdir(parents=True, exist_ok=True)
    for file in (*EVIDENCE, hydra_sweep.FAILED):
        (out / file).unlink(missing_ok=True)
    tracker = Tracker(cfg, name, _run_name(name), commit=_commit(), folder=str(out))
    try:
        run = Run(name, out, tracker, cfg, checks, before, device=prepare_torch(cfg) if "model" in cfg else "cpu")
        if not run.in_dvc:
            run.say(f"writes to {out}")
        report = body(cfg, run)
        _require_same(tracked, before)
        exact, committed = report.exact(name), report.committed(name)
        for file, content in zip(EVIDENCE, (exact, committed), strict=True):
            write_json(out / file, content)
        if run.checkpoints:
            shutil.rmtree(run.checkpoints, ignore_errors=True)
    except BaseException as error:
        tracker.fail("".join(traceback.format_exception(error)))
        raise
    closed = [v for v in report.checks if v.closes]
    if closed and in_dvc(name):
        # a process of its own: a page's template is no input of the stage
        subprocess.run([sys.executable, "-m", "recipe.stages.report"], check=False, timeout=60)
        report.pages += PAGES
    tracker.finish(exact, fingerprint(committed), _shown(out) + report.pages, out, failed=bool(closed))
    held, skipped = (sum(v.verdict == kind for v in report.checks) for kind in (PASS, SKIP))
    print(f"{name}: {held} of {len(report.checks) - skipped} checks hold\n{table(report.checks)}", flush=True)
    if report.ending:
        print(f"\n{report.ending}", flush=True)
    if closed:
        return _close(name, closed, out)
    try:
        _require_same(tracked, before)  # once more: logging takes seconds, and DVC hashes after all of it
    except RecipeError:
        tracker.fail(traceback.format_exc())
        raise
    return report.metrics.get("val_loss")  # what a sweeper of Hydra minimises


# ---- before --------------------------------------------------------------------------------------------------


def in_dvc(name: str) -> bool:
    return os.environ.get("DVC_STAGE") == name


@contextlib.contextmanager
def _locked(name: str):
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


def _dvc_inputs(name: str) -> list[str]:
    """The stage's code, data and config; DVC hashes them after the command (treeverse/dvc#11058), so we must look."""
    return [*_deps(name), *code_manifest.read_manifest(_manifest(name))] if in_dvc(name) else []


def _deps(name: str) -> list[str]:
    return load(Path("dvc.yaml"))["stages"][name].get("deps", [])


def _manifest(name: str) -> Path:
    """The list of the stage's code that the compose stage wrote."""
    return present(Path("resolved", f"{name}.code"))


def _data(name: str) -> list[str]:
    """The files of earlier stages and of the user on which a stage depends."""
    return [path for path in _deps(name) if not path.startswith("resolved/")]


def code_and_data(name: str, cfg) -> dict[str, str]:
    """{file: hash} of what a stage with this config depends on, however it was started."""
    return digest(_data(name)) | code_manifest.code(name, plain_all(cfg), Path.cwd())


def _require_composed_code(name: str, found: dict[str, str]) -> None:
    """DVC records the code by its manifest, so code that was edited since would be recorded as what it was before."""
    composed = code_manifest.read_manifest(_manifest(name)) if in_dvc(name) else {}
    if changed := sorted(file for file, content in composed.items() if found.get(file) != content):
        raise RecipeError(f"{changed[0]} changed since the compose stage listed this stage's code. Run `dvc repro`.")


def _require_same(tracked: list[str], before: dict[str, str]) -> None:
    if changed := sorted(path for path, _ in digest(tracked).items() ^ before.items()):
        raise RecipeError(
            f"{changed[0]} changed while the stage was running, so its result belongs to neither version. "
            "Run `dvc repro` again."
        )


def _require_open_gates(name: str) -> None:
    """The recipe's order: no stage runs behind a closed gate, even when started by hand."""
    for earlier in STAGES[: STAGES.index(name)] if name != "report" else ():
        path = Path("runs", earlier, "report.json")
        if not path.is_file():
            raise RecipeError(f"{path} is missing: the {earlier} stage has not run. Run: dvc repro {earlier}")
        closed = [c["check"] for c in read_json(path)["checks"] if is_closed(c)]
        if closed:
            raise RecipeError(f"the gate {closed[0]} of the {earlier} stage is closed. Mend it, then: dvc repro")


def is_closed(check: dict) -> bool:
    """Whether a check of a report.json stops the pipeline."""
    return check["gate"] and check["verdict"] in ("fail", "error") and not check.get("waived")


def _hydra_folder() -> Path:
    from hydra.core.hydra_config import HydraConfig

    folder = Path(os.path.relpath(HydraConfig.get().runtime.output_dir))
    # DVC's command typed by hand has the root itself as its folder
    return new_folder(Path("outputs", HydraConfig.get().job.name)) if folder == Path(".") else folder


def _mask_hydra_files(cfg) -> None:
    """Hydra keeps the config and the words of the command line as they are."""
    from hydra.core.hydra_config import HydraConfig

    for address in (OmegaConf.select(cfg, key) for key in ("runtime.mlflow.uri", "runtime.storage")):
        if isinstance(address, str):
            remember(address)  # for a blank or a quote in a password is taken for its end, where it is not known
    hydra = HydraConfig.get()
    kept = Path(hydra.runtime.output_dir, hydra.output_subdir).glob("*.yaml") if hydra.output_subdir else ()
    rewrite_masked([*kept, hydra_sweep.all_words(Path(hydra.runtime.cwd, hydra.sweep.dir))])


def _run_name(name: str) -> str:
    """The stage's, or the overrides of a run by hand, cut to what a table shows."""
    from hydra.core.hydra_config import HydraConfig

    words = [] if in_dvc(name) else OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
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


def prepare_torch(cfg) -> str:
    """Bit for bit: deterministic kernels and a fixed number of threads. Gives the device."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("TORCHINDUCTOR_DETERMINISTIC", "1")
    import torch

    _keep_memory()
    torch.set_num_threads(cfg.runtime.threads)
    # with the variable above all that use_deterministic_algorithms does, which imports torch's compiler for it
    if cfg.runtime.deterministic not in DETERMINISTIC:
        raise RecipeError(
            f"conf/runtime/local.yaml: deterministic is `{cfg.runtime.deterministic}`, it must be one of "
            f"{', '.join(DETERMINISTIC)}."
        )
    torch.set_deterministic_debug_mode(DETERMINISTIC[cfg.runtime.deterministic])
    torch.set_flush_denormal(True)
    device = cfg.runtime.device
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise RecipeError(f"conf/runtime/local.yaml: device `{device}` cannot be used: {error}") from None
    return device


def _keep_memory() -> None:
    """glibc hands every large block back at once and pays for fresh pages at each step: up to twice the time."""
    with contextlib.suppress(OSError, AttributeError):  # another libc
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no block outside the heap
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: and none of the heap returned


# ---- after ---------------------------------------------------------------------------------------------------


def _shown(out: Path) -> list[Path]:
    return [f for f in sorted(out.rglob("*")) if f.suffix in SHOWN and not f.name.startswith(".")]


def _close(name: str, closed: list[Verdict], out: Path):
    """Exit code 1, after the evidence is written; the report page shows the closed gate and no later stage."""
    lines = [f"{name}: {len(closed)} gate(s) closed, so no later stage will run."]
    for v in closed:
        lines.append(explained(v, "  "))
    lines.append(f"  Every check of this stage: {out / 'report.json'}")
    if in_dvc(name):
        lines.append("  The report, with this gate and its evidence: runs/report.html")
    lines.append(
        f"  Mend it, or waive it with a reason:  {name}: {{waive: {{{closed[0].check}: why}}}}  in params.yaml"
    )
    return _end("\n".join(lines))


def _end(message: str):
    """Ends the process with exit code 1; a job of a multirun leaves its message in its folder: the others still run."""
    if not hydra_sweep.is_job():
        sys.exit(message)
    print(message, file=sys.stderr, flush=True)
    hydra_sweep.fail_job(message)
