"""Copies evidence to MLflow, and never reads it back.

One run per stage execution; lanes, trials and members are its children. Under a Hydra multirun the job is the child
of the sweep's run and its lanes are not logged one by one. Children are in another experiment: the UI takes the
100 newest runs, children included, before it folds them, so that hundreds of trials would hide the stages. Logging
never ends a training: the first failure is reported, then the tracker is silent; the evidence in runs/ is complete
either way.

One name means one thing on every run: `val_loss` is the number that counts (of a stage, the one in report.json),
`best/val_loss` the one at the best evaluation, `curve/val_loss` the one over steps, whose shown value is the last.
"""

import contextlib
import functools
import getpass
import logging
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from recipe.addresses import masked
from recipe.config.changes import leaves
from recipe.config.compose import requested, root
from recipe.errors import RecipeError
from recipe.tracking.mlflow_store import (
    BETTER,
    CHILDREN,
    METRIC,
    children_of,
    connect,
    experiment,
    first_line,
    page,
    show_metric,
    ui_link,
    uri_of,
    where,
)
from recipe.verdict import measurement, statement

if TYPE_CHECKING:
    from mlflow import MlflowClient  # takes a second to import
    from mlflow.entities import Metric

PARENT = "RECIPE_PARENT_RUN"  # set by a sweep for its jobs
# MLflow colours a run by its id, so that two curves of one chart may look alike: children get these, in turn
COLOURS = ("#2563a6", "#c2571a", "#2e7d4f", "#7b4ea3", "#b4232a", "#0e7c86", "#8a6d1d", "#5a6672")


def _quietly(method: Callable[..., None]) -> Callable[..., None]:
    """A tracker's method that never raises: the first failure is reported, after it nothing is logged."""

    @functools.wraps(method)
    def guarded(self: "Tracker", *args: Any, **kwargs: Any) -> None:
        if self.broken:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # whatever a store or a network can do
            self.broken = True
            message = f"MLflow: the store failed ({first_line(error)}); nothing more is logged"
            print(f"{message}, the evidence in runs/ is complete.", file=sys.stderr, flush=True)

    return guarded


class Tracker:
    """A stage's MLflow run, open until `finish` or `fail`.

    Raises RecipeError where the store cannot be used at the start, before any work is done.
    """

    def __init__(self, cfg: DictConfig, stage: str, name: str, commit: str, folder: str = ""):
        self.client, self.experiment = connect(cfg)
        self.stage, self.parent, self.broken = stage, os.environ.get(PARENT), False
        self.uri, self.name = uri_of(cfg), cfg.runtime.mlflow.experiment
        self.where, self.lanes = where(cfg, page(cfg, self.experiment)), 0
        self.cfg, self.children = cfg, ""
        self._open(cfg, name, commit, folder)

    @_quietly
    def _open(self, cfg: DictConfig, name: str, commit: str, folder: str) -> None:
        tags = {
            "mlflow.source.git.commit": commit,
            "recipe.dvc_experiment": os.environ.get("DVC_EXP_NAME"),
            "recipe.folder": folder,
        }
        if self.parent:
            tags |= {"mlflow.parentRunId": self.parent, "mlflow.runColor": _colour(_job_number())}
            self.experiment = experiment(self.client, cfg, CHILDREN)
        self._close_dead_runs(self.experiment)
        self.id = start(self.client, self.experiment, self.stage, name, tags)
        self._batch(self.id, params=chosen(cfg, self.stage))
        self.client.log_text(self.id, masked(OmegaConf.to_yaml(cfg, resolve=True)), "config.yaml")

    @_quietly
    def lane(
        self,
        name: str,
        params: dict[str, Any],
        metrics: dict[str, float],
        curve: Sequence[dict[str, Any]] = (),
        *,
        main: bool = False,
        seconds: float = 0,
    ) -> None:
        """One training as a child run; the curve of the main one is logged on the stage's run too, to be seen there.

        curve: rows {"step": n, metric: value, ...}. seconds: how long it took.
        """
        points = _points(curve)
        if main:
            self._batch(self.id, points)
        if self.parent:
            return
        rate = next((v for k, v in params.items() if k.rsplit(".", 1)[-1] == "lr"), None)
        logs = {"log10 lr": round(math.log10(rate), 3)} if rate and rate > 0 else {}  # the UI's axes are linear
        tags = {"mlflow.parentRunId": self.id, "mlflow.runColor": _colour(self.lanes), "recipe.lane": name}
        self.lanes += 1
        if not self.children:
            self.children = experiment(self.client, self.cfg, CHILDREN)
            self._close_dead_runs(self.children)
        child = start(self.client, self.children, self.stage, name, tags, seconds)
        self._batch(child, [*_now(metrics), *points], params | logs)
        self.client.set_terminated(child)

    @_quietly
    def data(self, name: str, digest: str, context: str) -> None:
        """Which data set this run used: shown in the run table."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        entry = Dataset(name=name.rsplit(".", 1)[-1], digest=digest[:8], source_type="recipe", source="{}")
        tag = InputTag(key="mlflow.data.context", value=context)
        self.client.log_inputs(self.id, [DatasetInput(dataset=entry, tags=[tag])])
        self.client.set_tag(self.id, "recipe.data", digest)

    @_quietly
    def model(self, folder: Path, script: str, request: Any, answer: Any, register: bool) -> None:
        """The saved system as a model that `mlflow models serve` and `mlflow.pyfunc.load_model` can use; no pickle.

        It holds the code of this package and of `own`: on a package index these names belong to others. script: the
        file that MLflow runs. request, answer: an example of each, which gives the signature. register: as the next
        version of the model that is called like the experiment.
        """
        import mlflow
        from mlflow.models import Model, infer_signature

        here = Path(__file__).parents[1]
        code = [here, *(folder for folder in [here.parent / "own"] if folder.is_dir())]
        with _silent("mlflow"):
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_experiment(experiment_id=self.experiment)
            logged = Model.log(
                None, mlflow.pyfunc, run_id=self.id, name="model", python_model=script,
                artifacts={"system": str(folder)}, code_paths=list(map(str, code)),
                input_example=request, signature=infer_signature(request, answer),
                pip_requirements=requirements(folder), registered_model_name=self.name if register else None,
            )  # fmt: skip
        self._batch(self.id, tags={"recipe.model": logged.model_uri})

    @_quietly
    def finish(self, content: dict[str, Any], key: str, files: list[Path], out: Path, failed: bool) -> None:
        """Metrics, a tag per gate, a description, pictures and tables; FAILED where a gate closed.

        key: the fingerprint of report.json, which the report's page shows.
        files: those in folders inside `out` keep their folder.
        """
        gates = {c["check"]: "waived" if c.get("waived") else c["verdict"] for c in content["checks"] if c["gate"]}
        tags = {f"gate.{name}": verdict for name, verdict in gates.items()}
        text = described(content)
        if self.children:
            text += "\n\n" + children_in_words(self.lanes, self.children, self.id)
        tags |= {"recipe.evidence": key, "mlflow.note.content": text}
        for metric in content["metric"]:
            tags |= {METRIC: metric["name"], BETTER: "higher" if metric["higher_is_better"] else "lower"}
            show_metric(self.client, self.experiment, metric["name"])
        self._batch(self.id, _now(content["metrics"]), tags=tags)
        for file in files:
            inside = file.parent != out and file.is_relative_to(out)
            self.client.log_artifact(self.id, str(file), str(file.parent.relative_to(out)) if inside else None)
        self.client.set_terminated(self.id, "FAILED" if failed else "FINISHED")

    @_quietly
    def fail(self, trace: str) -> None:
        """The stage died: its run gets the traceback and the status FAILED."""
        self.client.log_text(self.id, masked(trace), "traceback.txt")
        self.client.set_terminated(self.id, "FAILED")

    def _batch(
        self,
        run: str,
        metrics: "Sequence[Metric]" = (),
        params: dict[str, Any] | None = None,
        tags: dict[str, Any] | None = None,
    ) -> None:
        """As few calls as the server's limits allow: 1000 metrics, 100 params and 100 tags each."""
        from mlflow.entities import Param, RunTag

        parameters = [Param(k, masked(shown(v))) for k, v in (params or {}).items()]
        run_tags = [RunTag(k, masked(str(v))) for k, v in (tags or {}).items()]
        calls = max(-(-len(metrics) // 800), -(-len(parameters) // 100), -(-len(run_tags) // 100))
        for i in range(calls):
            self.client.log_batch(
                run,
                metrics=metrics[800 * i : 800 * i + 800],
                params=parameters[100 * i : 100 * i + 100],
                tags=run_tags[100 * i : 100 * i + 100],
            )

    def _close_dead_runs(self, experiment: str) -> None:
        """Closes the runs of stages that were killed on this machine and could not do it."""
        host = platform.node()
        for run in self.client.search_runs(
            [experiment], f"attributes.status = 'RUNNING' and tags.`recipe.stage` = '{self.stage}'"
        ):
            name, _, pid = run.data.tags.get("recipe.process", "").partition(":")
            if name == host and pid and not _alive(int(pid)):
                self.client.set_terminated(run.info.run_id, "KILLED")


def start(
    client: "MlflowClient", experiment: str, stage: str, name: str, tags: dict[str, Any], seconds: float = 0
) -> str:
    """A run that began `seconds` ago; gives its id."""
    tags = {
        "mlflow.source.name": f"pipeline/{stage}.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "recipe.stage": stage,
        "recipe.process": f"{platform.node()}:{os.getpid()}",
    } | tags
    began = int((time.time() - seconds) * 1000)
    tags = {k: masked(v) for k, v in tags.items() if v}
    run = client.create_run(experiment, start_time=began, tags=tags, run_name=masked(name))
    return run.info.run_id


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's number without a name
        return ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def requirements(system: Path) -> list[str]:
    """What the saved system needs to predict, at the versions it was made with. system: its folder."""
    names = ("torch", "numpy", "hydra-core", "omegaconf", "pillow", "pyarrow", "pyyaml", "safetensors", "simplejpeg")
    frozen = (system / "backbone.safetensors").is_file()
    builders = [name for name in ("timm", "transformers") if frozen and name in sys.modules]
    return [f"{name}=={version(name)}" for name in (*names, "pandas", "torchvision", *builders)]


@contextlib.contextmanager
def _silent(logger: str) -> Iterator[None]:
    """Nothing below an error is logged inside the block."""
    log = logging.getLogger(logger)
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


# ---- what is shown -------------------------------------------------------------------------------------------


def chosen(cfg: DictConfig, stage: str) -> dict[str, object]:
    """What params.yaml and the command line set: where this run differs from conf/. The rest is in config.yaml."""
    from hydra.core.hydra_config import HydraConfig

    try:
        choices, values = requested(stage, root())
    except RecipeError:  # params.yaml is being edited: this run does not depend on it
        choices, values = {}, {}
    keys = {"seed", *leaves(OmegaConf.create(values))}
    if HydraConfig.initialized():
        now = HydraConfig.get()
        choices |= {group: str(choice) for group, choice in now.runtime.choices.items()}
        keys |= {override.lstrip("+~").partition("=")[0] for override in now.overrides.task}
    known = leaves(cfg)
    choices = {group: choice for group, choice in choices.items() if group in cfg}  # not those of hydra, nor a@b
    values = {k: known[k] for k in sorted(keys) if k not in choices and known.get(k) is not None}
    left_out = ("runtime", "effort", "checks", "waive")
    return {k: v for k, v in (choices | values).items() if k.split(".")[0] not in left_out}


def described(content: dict[str, Any]) -> str:
    """The stage's findings in Markdown: its sentences, how many checks hold, and each one that does not."""
    checks = content["checks"]
    gates = [c for c in checks if c["gate"]]
    closed = [c for c in gates if c["verdict"] in ("fail", "error") and not c.get("waived")]
    held = sum(c["verdict"] == "pass" for c in checks)
    skipped = sum(c["verdict"] == "skip" for c in checks)
    state = f"{len(closed)} of {len(gates)} gates closed" if closed else f"all {len(gates)} gates open"
    tried = len(checks) - skipped
    counted = f"{held} of {tried} checks hold, {state}" if tried else "nothing to check"
    lines = [*content["findings"], "", f"**{counted}.**"]
    for c in (c for c in checks if c["verdict"] in ("fail", "error", "undecided")):
        undecided = c["verdict"] == "undecided"
        kind = "undecided" if undecided else "waived" if c.get("waived") else "closed gate" if c["gate"] else "note"
        value = shown(c["value"]) if c["value"] is not None else ""
        sentence = statement(c["verdict"], c["claim"], c.get("finding", ""))
        lines += ["", f"- **{kind}: {c['check']}**: {sentence} ({measurement(c['verdict'], value, c['bound'])})"]
        lines += [f"  {c['hint']}"] if c in closed else []
        lines += [f"  {c['needed']}"] if c.get("needed") else []
        lines += [f"  Waived: {c['waived']}"] if c.get("waived") else []
    return "\n".join(lines).strip()[:7000]  # a tag holds 8000 characters


def children_in_words(count: int, experiment: str, parent: str) -> str:
    """How many child runs there are, with links to their table and charts in the UI, in Markdown."""
    table = ui_link(experiment, searchFilter=children_of(parent))
    return f"{count} child runs: [table]({table}), [charts]({table}&compareRunsMode=CHART)."


def shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _job_number() -> int:
    from hydra.core.hydra_config import HydraConfig

    return int(HydraConfig.get().job.num)


def _now(metrics: dict[str, float]) -> "list[Metric]":
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(k, float(v), now, 0) for k, v in metrics.items()]


def _points(curve: Sequence[dict[str, Any]]) -> "list[Metric]":
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(f"curve/{key}", float(value), now, int(row["step"]))
        for row in curve
        for key, value in row.items()
        if key not in ("step", "epoch") and value is not None
    ]
