"""A Hydra multirun as one MLflow run, the parent of its jobs: the callback that conf/base.yaml names."""

import atexit
import math
import os
import sys

from hydra.experimental.callback import Callback

from recipe.errors import RecipeError
from recipe.mlflow_store import connect, first_line, page, where
from recipe.track import PARENT, shown, start


class Sweep(Callback):
    def on_multirun_start(self, config, **kwargs) -> None:
        stage = config.hydra.job.name
        try:
            open_sweep(config, stage, list(config.hydra.overrides.task))
        except RecipeError as error:  # once, not once per job; Hydra takes an exception here for a warning
            sys.exit(f"{stage}: {error}")


def open_sweep(cfg, stage: str, overrides: list[str]) -> None:
    """The parent of a multirun's jobs, closed when this process ends."""
    client, experiment = connect(cfg)
    swept = [o.partition("=")[0] for o in overrides if "," in o or "(" in o]
    name = f"{stage} sweep" + (f": {', '.join(swept)}" if swept else "")
    run = start(client, experiment, stage, name, {"recipe.sweep": " ".join(overrides)})
    os.environ[PARENT] = run
    atexit.register(_close_sweep, cfg, client, experiment, run)  # Hydra leaves its own callback out when a job raises


def _close_sweep(cfg, client, experiment: str, run: str) -> None:
    """A line per job in the parent's description, its best score, and the link that compares the jobs."""
    try:
        mine = f"tags.mlflow.parentRunId = '{run}'"
        jobs = client.search_runs([experiment], mine, order_by=["metrics.val_loss ASC", "attributes.start_time ASC"])
        columns = [m for m in ("val_loss", "val_accuracy", "test_accuracy") if any(m in j.data.metrics for j in jobs)]
        rows = [(j.info.run_name, {m: v for m in columns if (v := j.data.metrics.get(m)) is not None}) for j in jobs]
        lines = [f"- **{job}**: " + ", ".join(f"{m} {shown(v)}" for m, v in score.items()) for job, score in rows]
        client.set_tag(run, "mlflow.note.content", "\n".join(lines))
        for metric, best in (("val_loss", min), ("val_accuracy", max)):
            if found := [v for _, score in rows if math.isfinite(v := score.get(metric, math.nan))]:
                client.log_metric(run, f"best/{metric}", best(found))
        failed = not jobs or any(j.info.status != "FINISHED" for j in jobs)
        client.set_terminated(run, "FAILED" if failed else "FINISHED")
        order = {"orderByKey": f"metrics.`{columns[0]}`", "orderByAsc": "true"} if columns else {}
        link = page(cfg, experiment, searchFilter=mine, **order, compareRunsMode="CHART")
        print(f"\n{len(jobs)} jobs, to be compared\n  runs    {where(cfg, link)}", flush=True)
    except Exception as error:  # a store's or a network's: the jobs are done
        print(f"MLflow: {first_line(error)}", file=sys.stderr, flush=True)
