"""A Hydra multirun as one MLflow run, the parent of its jobs: the callback that conf/base.yaml names."""

from hydra.experimental.callback import Callback

from recipe import track


class Sweep(Callback):
    def on_multirun_start(self, config, **kwargs) -> None:
        track.open_sweep(config, config.hydra.job.name, list(config.hydra.overrides.task))
