"""The MLflow store: made once, opened for a stage, and its address in the UI.

The only importer of mlflow beside tracker.py, which writes the runs, and serve/mlflow_model.py, which MLflow runs.
"""

import base64
import contextlib
import http.client
import json
import logging
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from recipe.addresses import masked, remember, require_encoded, without_login
from recipe.config.compose import home
from recipe.errors import RecipeError

if TYPE_CHECKING:
    from mlflow import MlflowClient  # takes a second to import

METRIC = "recipe.metric"  # the tag with the name of the metric that a run's scores have beside the loss
BETTER = "recipe.metric.better"  # whether `higher` or `lower` values of it are better
VIEW = "mlflow.sharedViewState.scores"  # the tag of an experiment with a saved view of its run table
CHILDREN = " child runs"  # what the name of the experiment ends with that holds lanes, trials, members and jobs

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")


def _configured(cfg: DictConfig) -> str:
    configured = os.environ.get("MLFLOW_TRACKING_URI") or cfg.runtime.mlflow.uri
    return str(configured or f"sqlite:///{home() / 'mlflow.db'}")


def uri_of(cfg: DictConfig) -> str:
    """The store's address; that of a server without user and password, which `connect` hands to MLflow."""
    uri = _configured(cfg)
    return without_login(uri)[0] if _is_server(uri) else uri


def _is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def connect(cfg: DictConfig) -> "tuple[MlflowClient, str]":
    """(client, experiment id); creates the store once, under a lock: two first users at a time break it for good.

    Raises RecipeError where a server does not answer or a store cannot be used, before any work is done.
    """
    remember(_configured(cfg))
    require_encoded(_configured(cfg), "MLFLOW_TRACKING_URI, or mlflow.uri in conf/runtime/local.yaml")
    uri = uri_of(cfg)
    if _is_server(uri):
        _log_in(_configured(cfg))
        _require_server(uri)
    import filelock
    from mlflow import MlflowClient

    for log in ("mlflow.store.db.utils", "urllib3.connectionpool"):
        logging.getLogger(log).setLevel(logging.CRITICAL)  # `connect` reports a failure, once
    try:
        with filelock.FileLock(home() / "mlflow.db.lock"):
            if uri.startswith("sqlite:"):
                _open_file(Path(uri.removeprefix("sqlite:///").partition("?")[0]))
            elif re.match(r"(postgresql|mysql|mssql)(\+\w+)?://", uri):
                _open_database(uri)
            client = MlflowClient(tracking_uri=uri)
            return client, experiment(client, cfg)
    except Exception as error:  # a driver, a disk or a server: each has its errors
        raise RecipeError(
            f"the MLflow store {masked(uri)} cannot be used ({first_line(error)}). Mend or move it, or set "
            "`mlflow.uri` in conf/runtime/local.yaml to another one. Nothing has been run."
        ) from None


def experiment(client: "MlflowClient", cfg: DictConfig, suffix: str = "") -> str:
    """The id of the project's experiment, made where it is missing; with CHILDREN, of the one for child runs."""
    from mlflow.exceptions import MlflowException

    main = cfg.runtime.mlflow.experiment
    if known := client.get_experiment_by_name(main + suffix):
        return str(known.experiment_id)
    about = {
        "": f"A run for each stage; its description links its lanes, trials and members in `{main}{CHILDREN}`.",
        CHILDREN: f"Lanes, trials and members of the stages, and jobs of multiruns. Their parent runs are in `{main}`.",
    }[suffix]
    tags = {"mlflow.note.content": about, VIEW: _view(["loss"])}
    place = (home() / "mlruns").as_uri() if uri_of(cfg).startswith("sqlite:") else None
    try:
        return str(client.create_experiment(main + suffix, artifact_location=place, tags=tags))
    except MlflowException:
        if known := client.get_experiment_by_name(main + suffix):  # another process made it in between
            return str(known.experiment_id)
        raise


def show_metric(client: "MlflowClient", experiment: str, metric: str) -> None:
    """The saved view of the run table gets the columns of this metric."""
    client.set_experiment_tag(experiment, VIEW, _view(["loss", metric]))


def _view(scores: list[str]) -> str:
    """The run table with the scores as columns, for the UI's menu of views, in the form in which the UI saves one.

    No link opens it: the UI then shows a banner that asks to override a saved view.
    """
    now = int(time.time() * 1000)
    columns = [f"metrics.`{split}_{name}`" for name in scores for split in ("val", "test")]
    state = {"selectedColumns": ["attributes.`Dataset`", *columns, "params.`model`", "params.`seed`"]}
    return json.dumps({"name": "scores", "createdAt": now, "updatedAt": now, "state": json.dumps(state)})


def page(cfg: DictConfig, experiment: str, **query: str) -> str:
    """The address of the run table in the UI: the server's, or that of the `mlflow ui` that `make ui` starts."""
    uri = uri_of(cfg)
    base = uri.rstrip("/") if _is_server(uri) else "http://127.0.0.1:5000"
    return f"{base}/{ui_link(experiment, **query)}"


def ui_link(experiment: str, **query: str) -> str:
    """The same, as a link inside the UI, wherever that is served."""
    query = {"workflowType": "machine_learning", **query}
    return f"#/experiments/{experiment}/runs?{urllib.parse.urlencode(query)}"


def children_of(run: str) -> str:
    """The filter for the child runs of a run, in the experiment of child runs."""
    return f"tags.mlflow.parentRunId = '{run}'"


def where(cfg: DictConfig, link: str) -> str:
    """How to open a page: `make ui` (or its command) first, where the store is a file."""
    if _is_server(uri_of(cfg)):
        return link
    return f"{link}\n          after `make ui`, or: mlflow ui --backend-store-uri {masked(uri_of(cfg))} --workers 1"


def first_line(error: BaseException) -> str:
    """The innermost cause, short and without passwords.

    A database's message goes on with its statement, a server's with its trace.
    """
    while error.__cause__:
        error = error.__cause__
    text = str(error).strip() or type(error).__name__
    return masked(text.splitlines()[0])[:200]


def _log_in(uri: str) -> None:
    """MLflow takes user and password from the environment; in an address they would be part of its messages.

    Raises RecipeError for a user without a password, which MLflow would not send.
    """
    bare, user, password = without_login(uri)
    if not user and not password:
        return
    if not user or not password:
        raise RecipeError(
            f"the MLflow server {bare}: its address has a user without a password, or the other way round. Write "
            "http://user:password@host; a token goes into the environment variable MLFLOW_TRACKING_TOKEN."
        )
    os.environ |= {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    if "MLFLOW_TRACKING_URI" in os.environ:
        os.environ["MLFLOW_TRACKING_URI"] = bare


def _require_server(uri: str) -> None:
    """Raises RecipeError where the server does not answer, or not to this user."""
    user, password, token = (os.environ.get(f"MLFLOW_TRACKING_{n}", "") for n in ("USERNAME", "PASSWORD", "TOKEN"))
    login = f"Bearer {token}" if token else ""
    if user and password:
        login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(f"{uri.rstrip('/')}/health", headers={"Authorization": login} if login else {})
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except (urllib.error.URLError, OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403):
            if not login:
                return  # MLflow has more ways to log in than the environment, and reports that none worked
            raise RecipeError(
                f"the MLflow server {uri} refuses the login ({error.code} {error.reason}). Check the user and the "
                "password in MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_USERNAME, _PASSWORD and _TOKEN. Nothing has been "
                "run."
            ) from None
        reason = masked(str(getattr(error, "reason", error)))
        raise RecipeError(
            f"the MLflow server {uri} does not answer ({reason}). Start it, or set `mlflow.uri` in "
            "conf/runtime/local.yaml to another one, or to null for a local file. Nothing has been run."
        ) from None


def _open_database(uri: str) -> None:
    """Fails at once, where MLflow would try again for minutes."""
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _open_file(path: Path) -> None:
    """Write-ahead log, kept in the file: half the time per write, and readers do not wait.

    It also fails at once on a file that is not a database or cannot be written, where MLflow tries again for minutes.
    """
    import sqlite3

    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        print(f"MLflow: making {path}, once", flush=True)
    with contextlib.closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as store:
        store.execute("PRAGMA journal_mode=wal")
        store.execute("BEGIN IMMEDIATE")
        store.execute("ROLLBACK")
