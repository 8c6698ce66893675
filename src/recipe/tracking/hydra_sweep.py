"""A Hydra multirun: one MLflow run that is the parent of its jobs, a summary at the end, and which jobs failed.

A job that fails leaves its message in error.txt in its folder, so that the process which started the multirun has it
also where a launcher runs jobs in other processes.
"""

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from recipe.addresses import masked, rewrite_masked
from recipe.errors import RecipeError
from recipe.metrics.objective import BY_METRIC
from recipe.tracking.mlflow_store import (
    BETTER,
    CHILDREN,
    METRIC,
    children_of,
    connect,
    experiment,
    first_line,
    page,
    where,
)
from recipe.tracking.tracker import PARENT, children_in_words, shown, start

if TYPE_CHECKING:
    from mlflow import MlflowClient  # takes a second to import

FAILED = "error.txt"
MAX_MESSAGES = 20  # failed jobs whose messages are repeated


@dataclass
class Job:
    number: str
    words: str  # its overrides
    error: str  # empty where it did not fail

    @property
    def reason(self) -> str:
        """The error in a line: a stack trace ends with it, any other message begins with it."""
        lines = self.error.splitlines()
        return lines[-1] if self.error.startswith("Traceback") else lines[0]


@dataclass
class Multirun:
    """A multirun while it is going on."""

    cfg: DictConfig
    stage: str
    folder: Path
    began: float  # seconds since the epoch
    store: "tuple[MlflowClient, str] | None"  # (client, parent run); None where MLflow failed

    def jobs(self) -> list[Job]:
        """The jobs that were started, in their order."""
        jobs, name = [], f"{self.cfg.hydra.output_subdir}/overrides.yaml"
        for file in sorted(self.folder.rglob(name), key=lambda f: (len(str(f)), str(f))):
            if file.stat().st_mtime < self.began:  # of another multirun that was given the same folder
                continue
            folder = file.parents[len(Path(name).parts) - 1]
            error = (folder / FAILED).read_text() if (folder / FAILED).is_file() else ""
            words = yaml.safe_load(file.read_text()) or []
            jobs.append(Job(str(folder.relative_to(self.folder)), masked(" ".join(map(str, words))), error))
        return jobs


_current: Multirun | None = None


class Sweep(Callback):
    """The callback that conf/base.yaml names."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        stage = config.hydra.job.name
        try:
            words: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
            _open(config, stage, words)
        except RecipeError as error:  # once, not once per job; Hydra takes an exception here for a warning
            sys.exit(f"{stage}: {error}")


def is_job() -> bool:
    """Whether this is a job of a multirun."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def all_words(folder: Path) -> Path:
    """Where Hydra keeps the command line of a multirun in this folder, as it was typed."""
    return folder / "multirun.yaml"


def fail_job(message: str) -> None:
    (Path(HydraConfig.get().runtime.output_dir) / FAILED).write_text(masked(message.rstrip()) + "\n", encoding="utf-8")


def _open(cfg: DictConfig, stage: str, words: list[str]) -> None:
    global _current
    client, stages = connect(cfg)
    words = [masked(word) for word in words]
    swept = [word.partition("=")[0] for word in words if "," in word or "(" in word]
    name = _cut(f"{stage} sweep" + (f": {', '.join(swept)}" if swept else ""), 100)
    folder = Path(os.path.relpath(cfg.hydra.sweep.dir))
    _current = Multirun(cfg, stage, folder, time.time() - 1, None)  # a file system's clock may be coarse
    tags = {"recipe.sweep": _cut(" ".join(words), 5000), "recipe.folder": str(folder)}
    with _store_may_fail():
        run = start(client, stages, stage, name, tags)
        _current.store = client, run
        os.environ[PARENT] = run


def close(error: str) -> str:
    """Ends the multirun of this process, if there is one: its summary, and in MLflow its parent run.

    error: what stopped it, empty where it came to its end. Gives the message to exit with, empty where all is well.
    """
    global _current
    multirun, _current = _current, None
    if not multirun:
        return ""
    os.environ.pop(PARENT, None)
    rewrite_masked([all_words(multirun.folder)])  # also where no job has done it
    jobs = multirun.jobs()
    failed = [job for job in jobs if job.error]
    link, error = "", masked(error)
    with _store_may_fail():
        link = _log(multirun, jobs, error or (not jobs and "no job was run") or "")
    if jobs:
        counted = f"{len(jobs)} job{'s'[: len(jobs) != 1]}" + (f", {len(failed)} failed" if failed else "")
        print(f"\n{multirun.stage}: {counted}\n  folder  {multirun.folder}", flush=True)
        if link:
            print(f"  runs    {where(multirun.cfg, link)}", flush=True)
    elif not error:
        return f"{multirun.stage}: this multirun has no job, so nothing was run."
    if not failed:
        return ""
    lines = [f"  #{job.number} {_cut(job.words, 100)}: {job.reason}" for job in failed[:MAX_MESSAGES]]
    more = [f"  and {len(failed) - MAX_MESSAGES} more"] if len(failed) > MAX_MESSAGES else []
    first = f"{multirun.stage}: {len(failed)} of {len(jobs)} jobs failed; the message of each is in its {FAILED}"
    return "\n".join([first, *lines, *more])


def _log(multirun: Multirun, jobs: list[Job], error: str) -> str:
    """The parent's description, best score and status; gives the link that compares the jobs, if any was logged."""
    if not multirun.store:
        return ""
    client, run = multirun.store
    of_parent, children = children_of(run), experiment(client, multirun.cfg, CHILDREN)
    runs = client.search_runs([children], of_parent, order_by=["attributes.start_time ASC"])
    tags = next((r.data.tags for r in runs if METRIC in r.data.tags), {METRIC: "loss", BETTER: "lower"})
    names = dict.fromkeys(["loss", tags[METRIC]])
    rising = True  # of the order of the runs, the best first
    if multirun.cfg.get("judged_by") == BY_METRIC:
        names, rising = dict.fromkeys([tags[METRIC], "loss"]), tags[BETTER] == "lower"
    sign = 1 if rising else -1
    ordered = sorted(runs, key=lambda r: sign * r.data.metrics.get(f"val_{next(iter(names))}", sign * math.inf))
    scores = [f"{split}_{name}" for split in ("val", "test") for name in names]
    columns = [m for m in scores if any(m in r.data.metrics for r in runs)]
    rows = [(r.info.run_name, {m: v for m in columns if (v := r.data.metrics.get(m)) is not None}) for r in ordered]
    lines = [f"- **{name}**: " + ", ".join(f"{m} {shown(v)}" for m, v in score.items()) for name, score in rows]
    lines += [f"- **{job.words}** failed: {job.reason}" for job in jobs if job.error]
    first = [error, ""] if error else [children_in_words(len(runs), children, run), ""]
    client.set_tag(run, "mlflow.note.content", "\n".join([*first, *lines])[:7000])
    better = {"loss": min} | {tags[METRIC]: max if tags[BETTER] == "higher" else min}
    for metric, best in ((f"val_{name}", of) for name, of in better.items()):
        if values := [v for _, score in rows if math.isfinite(v := score.get(metric, math.nan))]:
            client.log_metric(run, f"best/{metric}", best(values))
    failed = error or any(job.error for job in jobs) or any(r.info.status != "FINISHED" for r in runs)
    client.set_terminated(run, "FAILED" if failed else "FINISHED")
    order = {"orderByKey": f"metrics.`{columns[0]}`", "orderByAsc": str(rising).lower()} if columns else {}
    return page(multirun.cfg, children, searchFilter=of_parent, **order, compareRunsMode="CHART") if runs else ""


@contextlib.contextmanager
def _store_may_fail() -> Iterator[None]:
    """A store's or a network's failure costs no job: it is printed, and the block ends."""
    try:
        yield
    except Exception as error:  # of any store
        print(f"MLflow: {first_line(error)}", file=sys.stderr, flush=True)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
