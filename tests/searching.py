"""Searches that are small enough for tests: with trainings that are a formula, or of a linear model on a few digits."""

import copy
import functools
import math
import os
import signal
import socket
import traceback
from pathlib import Path

from clone import ROOT
from made_data import DATA
from omegaconf import OmegaConf

from recipe.config.compose import compose
from recipe.data.batches import Data, Split
from recipe.stages.tune import worker
from recipe.stages.tune.trials import Trial

SPACE = {
    "optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "train.batch_size": {"low": 4, "high": 64, "log": True},
    "train.augment": {"choices": [True, False]},
    "augment.degrees": {"low": 1.0, "high": 9.0, "when": {"train.augment": True}},
}
SMALL = Data(
    Split(DATA.train.x[:96], DATA.train.y[:96], []), Split(DATA.val.x[:60], DATA.val.y[:60], []), DATA.task,
    DATA.metric, DATA.mean, DATA.std, "few digits",
)  # fmt: skip


@functools.cache
def shipped():
    return compose("tune", ROOT)


def config(space: dict | None = None, storage: str = "journal", **more):
    cfg = copy.deepcopy(shipped())
    OmegaConf.set_struct(cfg, False)
    cfg.space = space or SPACE
    cfg.runtime.storage = storage
    small = {"trials": 5, "repeats": 2, "generation": 2, "together": 3, "trial_seeds": 1}
    return OmegaConf.merge(cfg, small | more)


def linear(**more):
    """A configuration whose trainings are real, and take a moment."""
    model = {"model": {"_target_": "recipe.models.plain.linear"}}
    cfg = config({"optimizer.lr": {"low": 1e-3, "high": 0.3, "log": True}}, **more)
    cfg.model = model["model"]
    cfg.train.epochs, cfg.train.eval_every, cfg.train.batch_size = 5, 5 / 6, 16
    return OmegaConf.merge(cfg, {"halving": {"first": 0.15, "factor": 3}, "trial_seeds": 2})


def formula(setup, sampler, cohort, past, folder) -> list[Trial]:
    """In place of a training: fails at the highest rates, is pruned where it is worse than half of what was before."""
    trials = []
    for key, params in cohort.items():
        value = (math.log10(params["optimizer.lr"]) + 2) ** 2 + params.get("augment.degrees", 5.0) / 50
        earlier = sorted(t.cost for t in past.values() if t.repeat == key[0] and t.cost is not None)
        if params["optimizer.lr"] > 6e-2:
            trials.append(Trial(sampler, *key, params, "failed", cause="the training loss is nan by step 1"))
        elif earlier and value > earlier[len(earlier) // 2]:
            trials.append(Trial(sampler, *key, params, "pruned", value, rungs={"3": value}, cause="stopped"))
        else:
            trials.append(Trial(sampler, *key, params, "complete", value, rungs={"3": value}, cause="all steps done"))
    return trials


def opened(cfg, home: Path, create: bool = True, data=SMALL):
    return worker.open_search(cfg, data, {}, {"code.py": "0"}, home, lambda text: None, create=create)


def trial_rows(search) -> list[dict]:
    """The lines of trials.csv, as text."""
    rows = [
        t.row(search.setup.space, search.setup.data.metric.name)
        for trials in worker.trials_of(search).values()
        for t in trials
    ]
    return [{key: str(value) for key, value in row.items()} for row in rows]


def whole(cfg, home: Path, data=SMALL) -> list[dict]:
    """The trials of a search that nothing disturbs."""
    search = opened(cfg, home, data=data)
    worker.take_part(search)
    search.close()
    return trial_rows(search)


def forked(work) -> int:
    """Runs `work()` in a forked process; gives its id. It shares the imported modules, which saves seconds."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def ended(pid: int) -> int:
    """Waits; the exit code, negative where it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def writes(storage, before) -> None:
    """before(): called ahead of every write to a storage, and after it."""
    for name in ("create_new_trial", "set_trial_user_attr", "set_trial_intermediate_value", "set_trial_state_values"):
        write = getattr(storage, name)

        def guarded(*args, write=write, **kwargs):
            before()
            result = write(*args, **kwargs)
            before()
            return result

        setattr(storage, name, guarded)


def storages(search) -> list:
    """Each once: samplers share one."""
    return list({id(s.storage): s.storage for s in search.studies.values()}.values())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


class SilentRun:
    """In place of a stage's run: keeps what is logged."""

    def __init__(self, out: Path):
        self.out, self.checkpoints = out, None
        self.messages: list[str] = []
        self.lanes: list[str] = []
        self.tracker = self

    def say(self, text: str) -> None:
        self.messages.append(text)

    def note(self, text: str) -> None:
        self.messages += [text] if text else []

    def lane(self, name: str, *args, **kwargs) -> None:
        self.lanes.append(name)
