"""The final system on disk: saved from the chosen members, loaded again as users load it, and logged."""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from omegaconf import DictConfig
from torch import Tensor

from recipe.config.instantiate import plain
from recipe.data.batches import Data, Split
from recipe.data.store import Store
from recipe.serve import system
from recipe.serve.inputs import example_request
from recipe.serve.predict import prediction_frame
from recipe.stages.ensemble.member_weights import MemberWeights
from recipe.stages.ensemble.members import Member
from recipe.stages.runner import Run


@dataclass(frozen=True)
class FinalSystem:
    """The system as it is loaded from its folder. store: the inputs as `prepare` stored them."""

    system: system.System
    store: Store

    def predictions(self, split: Split) -> Tensor:
        """(N, K), from the stored inputs."""
        if split.texts:
            return self.system.predict(np.array(split.texts, object))
        return self.system.predict(self.store.inputs[self.store.rows(split.ids)])


def save(cfg: DictConfig, data: Data, pool: list[Member], weights: MemberWeights, run: Run) -> list[str]:
    """Writes the system; gives the names of user-defined code that must be trusted to load it."""
    used = [(m, n) for m, n in zip(pool, weights.counts, strict=True) if n]
    members = [(m.changes, run.out / file, n) for m, n in used for file in m.files]
    folds = [fold for m, _ in used for fold in range(len(m.files))] if data.folds else []
    names = system.save(
        run.out / "system", cfg, data, members, weights.calibration, weights.half_widths, thresholds=weights.thresholds,
        folds=folds,
    )  # fmt: skip
    if names:
        flags = " ".join(f"--trust {name}" for name in names)
        run.say(f"the system is built from user-defined code, which needs consent: recipe predict {flags} ...")
    return names


def load_and_log(cfg: DictConfig, run: Run, trust: list[str]) -> FinalSystem:
    """Loads the system that `save` wrote; MLflow gets it as a model with an example of a request."""
    store = Store.open(plain(cfg, "data"))
    final = system.load(run.out / "system", run.device, trust=trust)
    request = example_request(final.form, store)
    script = str(find_spec("recipe.serve.mlflow_model").origin)  # type: ignore[union-attr]  # nothing imports it
    answer = prediction_frame(final, request)
    run.tracker.model(run.out / "system", script, request, answer, register=run.in_dvc)
    return FinalSystem(final, store)
