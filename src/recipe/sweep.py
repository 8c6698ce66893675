"""A Hydra multirun as one MLflow run, the parent of its jobs: the callback that conf/base.yaml names."""

import sys

from hydra.experimental.callback import Callback

from recipe import track
from recipe.errors import RecipeError


class Sweep(Callback):
    def on_multirun_start(self, config, **kwargs) -> None:
        stage = config.hydra.job.name
        try:
            track.open_sweep(config, stage, list(config.hydra.overrides.task))
        except RecipeError as error:  # once, not once per job; Hydra takes an exception here for a warning
            sys.exit(f"{stage}: {error}")
