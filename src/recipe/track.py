"""Copies evidence to MLflow, and never reads it back. The only importer of mlflow.

One run per stage execution; lanes, trials and members are its children. Under a Hydra multirun the job is the child
of the sweep's run and its lanes are not logged one by one. Logging never kills a training: the first failure is
said once, then the tracker is silent; the evidence in runs/ is whole either way.
"""

import functools
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from omegaconf import OmegaConf

from recipe.config import leaves
from recipe.errors import RecipeError
from recipe.files import fingerprint

PARENT = "RECIPE_PARENT_RUN"  # set by a sweep for its jobs
BATCH = 1000  # metrics a call: the server's limit

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")


def home() -> Path:
    """The real repository, also from inside a temporary DVC experiment."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def uri_of(cfg) -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or cfg.runtime.mlflow.uri or f"sqlite:///{home() / 'mlflow.db'}"


def connect(cfg):
    """(client, experiment id); creates the store once, under a lock: two first users at a time break it for good.

    Raises RecipeError where a server does not answer, before any work is done.
    """
    uri = uri_of(cfg)
    if uri.startswith(("http://", "https://")):
        try:
            urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5).close()
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise RecipeError(
                f"the MLflow server {uri} does not answer ({reason}). Start it, or set `mlflow.uri` in "
                "conf/runtime/local.yaml to another one, or to null for a local file. Nothing has been run."
            ) from None
    import filelock
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    name = cfg.runtime.mlflow.experiment
    try:
        with filelock.FileLock(home() / "mlflow.db.lock"):
            client = MlflowClient(tracking_uri=uri)
            if found := client.get_experiment_by_name(name):
                return client, found.experiment_id
            local = uri.startswith("sqlite:")
            if local:
                _write_ahead(uri)
            place = (home() / "mlruns").as_uri() if local else None
            return client, client.create_experiment(name, artifact_location=place)
    except MlflowException as error:
        raise RecipeError(f"the MLflow store {uri} cannot be used: {error}") from None


def _write_ahead(uri: str) -> None:
    """Write-ahead log, kept in the file: half the time per write, and readers do not wait."""
    import sqlite3

    with sqlite3.connect(uri.removeprefix("sqlite:///")) as store:
        store.execute("PRAGMA journal_mode=wal")


def _quietly(method):
    """A tracker's method that never raises: the first failure is said, after it nothing is logged."""

    @functools.wraps(method)
    def guarded(self, *args, **kwargs):
        if self.broken:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # whatever a store or a network can do
            self.broken = True
            print(f"MLflow: {error}\n  Nothing more is logged; the evidence in runs/ is whole.", file=sys.stderr)

    return guarded


class Tracker:
    """A stage's MLflow run, open until `finish` or `fail`.

    Raises RecipeError where the store cannot be used at the start, before any work is done.
    """

    def __init__(self, cfg, stage: str, name: str, commit: str):
        self.client, self.experiment = connect(cfg)
        self.stage, self.parent, self.broken = stage, os.environ.get(PARENT), False
        self._open(cfg, name, commit)

    @_quietly
    def _open(self, cfg, name: str, commit: str) -> None:
        tags = {
            "mlflow.source.name": f"pipeline/{self.stage}.py",
            "mlflow.source.type": "LOCAL",
            "mlflow.user": os.environ.get("USER"),
            "mlflow.source.git.commit": commit,
            "mlflow.parentRunId": self.parent,
            "recipe.stage": self.stage,
            "recipe.process": f"{os.uname().nodename}:{os.getpid()}",
            "recipe.dvc_experiment": os.environ.get("DVC_EXP_NAME"),
        }
        self._bury_the_dead()
        run = self.client.create_run(self.experiment, tags={k: v for k, v in tags.items() if v}, run_name=name)
        self.id = run.info.run_id
        self._params(leaves(cfg))
        self.client.log_text(self.id, OmegaConf.to_yaml(cfg, resolve=True), "config.yaml")

    @_quietly
    def lane(self, name: str, params: dict, metrics: dict, curve: list[dict] = (), main: bool = False) -> None:
        """One training as a child run; the main one's curve stands on the stage's run too, where it shows unfolded.

        curve: rows {"step": n, metric: value, ...}.
        """
        from mlflow.entities import Metric, Param

        points = _points(curve)
        if main:
            self._points(self.id, points)
        if self.parent:
            return
        tags = {"mlflow.parentRunId": self.id, "recipe.stage": self.stage, "recipe.lane": name}
        child = self.client.create_run(self.experiment, tags=tags, run_name=name).info.run_id
        now = int(time.time() * 1000)
        first = [Metric(k, float(v), now, 0) for k, v in metrics.items()]
        self.client.log_batch(child, metrics=first, params=[Param(k, str(v)) for k, v in params.items()])
        self._points(child, points)
        self.client.set_terminated(child)

    @_quietly
    def data(self, name: str, digest: str, context: str) -> None:
        """Which data set this run saw: shown in the run table."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        entry = Dataset(name=name, digest=digest[:32], source_type="recipe", source="{}")
        tag = InputTag(key="mlflow.data.context", value=context)
        self.client.log_inputs(self.id, [DatasetInput(dataset=entry, tags=[tag])])
        self.client.set_tag(self.id, "recipe.data", digest)

    @_quietly
    def finish(self, content: dict, files: list[Path], failed: bool) -> None:
        """Metrics, a tag per gate, pictures and tables; FAILED where a gate closed."""
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        metrics = [Metric(k, float(v), now, 0) for k, v in content["metrics"].items()]
        tags = [RunTag("recipe.evidence", fingerprint(content))] + [
            RunTag(f"gate.{c['check']}", "waived" if c.get("waived") else c["verdict"])
            for c in content["checks"]
            if c["gate"]
        ]
        self.client.log_batch(self.id, metrics=metrics, tags=tags)
        for file in files:
            self.client.log_artifact(self.id, str(file))
        self.client.set_terminated(self.id, "FAILED" if failed else "FINISHED")

    @_quietly
    def fail(self, trace: str) -> None:
        """The stage died: the run says so, with the traceback."""
        self.client.log_text(self.id, trace, "traceback.txt")
        self.client.set_terminated(self.id, "FAILED")

    def _params(self, values: dict) -> None:
        from mlflow.entities import Param

        skip = ("runtime", "checks", "waive", "stage")
        params = [Param(k, str(v)) for k, v in values.items() if v is not None and k.split(".")[0] not in skip]
        for at in range(0, len(params), 100):  # the server's limit
            self.client.log_batch(self.id, params=params[at : at + 100])

    def _points(self, run: str, points: list) -> None:
        for at in range(0, len(points), BATCH):
            self.client.log_batch(run, metrics=points[at : at + BATCH])

    def _bury_the_dead(self) -> None:
        """A stage killed with -9 could not say so: its run is closed by the next one of this machine."""
        host = os.uname().nodename
        for run in self.client.search_runs(
            [self.experiment], f"attributes.status = 'RUNNING' and tags.`recipe.stage` = '{self.stage}'"
        ):
            name, _, pid = run.data.tags.get("recipe.process", "").partition(":")
            if name == host and pid and not Path(f"/proc/{pid}").exists():
                self.client.set_terminated(run.info.run_id, "KILLED")


def _points(curve: list[dict]) -> list:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(key, float(value), now, int(row["step"]))
        for row in curve
        for key, value in row.items()
        if key != "step" and value is not None
    ]
