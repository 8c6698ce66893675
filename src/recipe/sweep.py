"""A Hydra multirun as one MLflow run, the parent of its jobs: the callback that conf/base.yaml names."""

import atexit
import os

from hydra.experimental.callback import Callback

from recipe import track


class Sweep(Callback):
    def on_multirun_start(self, config, **kwargs) -> None:
        overrides = " ".join(config.hydra.overrides.task)
        stage = config.hydra.job.name
        client, experiment = track.connect(config)
        tags = {"recipe.stage": stage, "recipe.sweep": overrides}
        run = client.create_run(experiment, tags=tags, run_name=f"{stage} sweep")
        os.environ[track.PARENT] = run.info.run_id
        # not on_multirun_end: Hydra leaves it out when a job raises
        atexit.register(client.set_terminated, run.info.run_id)
