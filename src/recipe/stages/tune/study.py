"""The trials of a search in an Optuna storage that any number of workers share, and may be killed at.

A trial is known by its repeat and index, kept with its row; rows are claims to it. A worker claims a cohort of trials
by its first one, the leader: it writes a row, and the lowest row number at work holds the cohort. Results are written
trial by trial, the leader's last, so that a leader that is finished means that its cohort is. The row of a worker that
died is told FAIL, and its trial is free again. So no finished trial is lost, and none is trained twice.
"""

import contextlib
import fcntl
import os
import threading
import time
import uuid
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from recipe.addresses import masked, remember, require_encoded
from recipe.errors import RecipeError
from recipe.stages.tune.samplers import distributions
from recipe.stages.tune.space import Space
from recipe.stages.tune.trials import Key, Trial, result_of

BEAT = 10  # seconds between the signs of life of a worker at a database
GRACE = 60  # seconds without one, after which its trials are free
EXTRA = "pip install -e '.[postgres]'"


class Taken(Exception):
    """A trial was finished by another worker, which took it for an orphan."""


# ---- storages ------------------------------------------------------------------------------------------------


class FileLock:
    """Optuna's lock of a journal, as one that the kernel drops when its holder is killed.

    Optuna's own makes the others wait for half a minute then. A line that a killed writer left half is cut off.
    """

    def __init__(self, journal: Path):
        self.journal, self.file = journal, None

    def acquire(self) -> bool:
        self.file = open(self.journal.with_suffix(".lock"), "w")  # noqa: SIM115
        fcntl.flock(self.file, fcntl.LOCK_EX)
        with open(self.journal, "rb+") as journal:
            end = journal.seek(0, os.SEEK_END)
            if end and (journal.seek(end - 1), journal.read(1))[1] != b"\n":
                journal.seek(0)
                journal.truncate(journal.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        self.file.close()


class Living:
    """Workers on one journal: each holds the lock of a file of its own while it lives."""

    def __init__(self, journal: Path):
        self.folder = journal.with_suffix(".workers")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = uuid.uuid4().hex
        self.file = open(self.folder / self.name, "w")  # noqa: SIM115
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def alive(self, worker: str) -> bool:
        if worker == self.name:
            return True
        try:
            with open(self.folder / worker, "rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def orphans(self, study) -> list:
        return [t for t in _running(study) if not self.alive(t.user_attrs["worker"])]

    @contextlib.contextmanager
    def working(self, trial_ids: list[int]):
        yield

    def close(self) -> None:
        (self.folder / self.name).unlink(missing_ok=True)
        self.file.close()


class Beating:
    """Workers on one database: each writes a sign of life for its trials every BEAT seconds."""

    def __init__(self, storage):
        self.storage, self.name, self.seen = storage, uuid.uuid4().hex, {}

    def orphans(self, study) -> list:
        from optuna.storages import fail_stale_trials

        now = time.monotonic()
        for trial in _running(study):
            # a worker killed before its first sign leaves none whose age could be told: it gets one from us, once
            if now - self.seen.setdefault(trial._trial_id, now) > GRACE:
                self.storage.record_heartbeat(trial._trial_id)
                self.seen[trial._trial_id] = float("inf")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is experimental
            fail_stale_trials(study)
        return []

    @contextlib.contextmanager
    def working(self, trial_ids: list[int]):
        over = threading.Event()

        def beat() -> None:
            while True:
                for trial_id in trial_ids:
                    with contextlib.suppress(Exception):  # a server that is away for a moment
                        self.storage.record_heartbeat(trial_id)
                if over.wait(BEAT):
                    self.storage.remove_session()
                    return

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def close(self) -> None:
        self.storage.remove_session()


def _running(study) -> list:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def shown(place: str, journal: Path) -> str:
    """The storage as a person and optuna-dashboard know it, without a password."""
    return str(journal) if place == "journal" else masked(place)


def open_storage(place: str, journal: Path):
    """(Optuna's storage, who lives on it). place: `journal`, or a database's address.

    Raises RecipeError where a database cannot be used.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if place == "journal":
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        journal.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(journal), lock_obj=FileLock(journal))), Living(journal)
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    where = "storage in conf/runtime/local.yaml, or RECIPE_STORAGE"
    remember(place)
    require_encoded(place, where)
    address = masked(place)
    try:
        make_url(place)
    except (ArgumentError, ValueError):  # of a port that is no number
        raise RecipeError(
            f"{where}: it must be `journal` or a database's address, as in postgresql+pg8000://user:password@host/name "
            "or sqlite:///file."
        ) from None
    options = {"connect_args": {"timeout": 60}} if place.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = optuna.storages.RDBStorage(
                place, engine_kwargs=options, heartbeat_interval=BEAT, grace_period=GRACE
            )
    except (ImportError, SQLAlchemyError, RuntimeError, optuna.exceptions.OptunaError) as error:
        while error.__cause__:
            error = error.__cause__
        if isinstance(error, ImportError):
            raise RecipeError(f"{where}: no driver for {address}. For PostgreSQL: {EXTRA}") from None
        raise RecipeError(f"{where}: {address} cannot be used: {masked(str(error).splitlines()[0])}") from None
    return storage, Beating(storage)


# ---- one sampler's search --------------------------------------------------------------------------------------


@dataclass
class Study:
    """One sampler's trials in the storage."""

    sampler: str
    optuna: object  # optuna.Study
    space: Space
    workers: Living | Beating
    finished: dict[Key, Trial] = field(default_factory=dict)  # as of the last `look`
    known: dict[Key, dict] = field(default_factory=dict)  # values of every trial that a row was ever written for

    def look(self) -> None:
        """Reads the storage, and frees the trials of workers that died."""
        from optuna.exceptions import UpdateFinishedTrialError

        for orphan in self.workers.orphans(self.optuna):
            with contextlib.suppress(UpdateFinishedTrialError):
                self._fail(orphan._trial_id, "killed")
        for row in self.optuna.get_trials(deepcopy=False):
            key = row.user_attrs["repeat"], row.user_attrs["index"]
            self.known.setdefault(key, dict(row.params))
            if key not in self.finished and (result := _finished(row)):
                self.finished[key] = Trial(self.sampler, *key, self.known[key], **result)

    def held(self, key: Key) -> bool:
        """Whether a worker is at this trial, as of now."""
        return any(_key(row) == key for row in _running(self.optuna))

    def claim(self, cohort: dict[Key, dict]) -> dict[Key, int] | None:
        """{trial: its row} of those that are not finished, the leader last; None where another worker holds them."""
        from optuna.exceptions import UpdateFinishedTrialError

        leader = next(iter(cohort))
        if self.held(leader):
            return None
        mine = {leader: self._write(leader, cohort[leader])}
        self.look()
        lower = [r for r in _running(self.optuna) if _key(r) == leader and r._trial_id < mine[leader]]
        if lower or leader in self.finished:
            with contextlib.suppress(UpdateFinishedTrialError):
                self._fail(mine[leader], "surplus")
            return None
        for key, params in list(cohort.items())[1:]:
            for row in _running(self.optuna):  # of a worker that lost the leader, and will notice
                if _key(row) == key:
                    with contextlib.suppress(UpdateFinishedTrialError):
                        self._fail(row._trial_id, "killed")
            self.look()
            if key not in self.finished:
                mine[key] = self._write(key, params)
        return {key: row for key, row in mine.items() if key != leader} | {leader: mine[leader]}

    def tell(self, row: int, trial: Trial) -> None:
        """Writes a result. Raises Taken where the row is no longer ours."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        storage = self.optuna._storage
        try:
            for step, value in trial.rungs.items():
                storage.set_trial_intermediate_value(row, int(step), value)
            storage.set_trial_user_attr(row, "result", result_of(trial))
            storage.set_trial_state_values(row, states[trial.state], None if trial.value is None else [trial.value])
        except UpdateFinishedTrialError:
            raise Taken from None

    def _write(self, key: Key, params: dict) -> int:
        """A row at work, in one write."""
        from optuna.trial import TrialState, create_trial

        template = create_trial(
            state=TrialState.RUNNING, params=params, distributions=distributions(self.space, params),
            user_attrs={"repeat": key[0], "index": key[1], "worker": self.workers.name},
        )  # fmt: skip
        return self.optuna._storage.create_new_trial(self.optuna._study_id, template)

    def _fail(self, row: int, why: str) -> None:
        from optuna.trial import TrialState

        self.optuna._storage.set_trial_user_attr(row, why, True)
        self.optuna._storage.set_trial_state_values(row, TrialState.FAIL)


def _key(row) -> Key:
    return row.user_attrs["repeat"], row.user_attrs["index"]


def _finished(row) -> dict | None:
    """The result of a row that came to its end by itself."""
    from optuna.trial import TrialState

    result = row.user_attrs.get("result")
    if row.state in (TrialState.COMPLETE, TrialState.PRUNED):
        return result
    return result if row.state == TrialState.FAIL and result and result["state"] == "failed" else None


def over(storage, key: str) -> bool:
    """Whether a search `key` was begun, and every one that was is done."""
    import optuna

    names = [name for name in optuna.get_all_study_names(storage) if name.startswith(f"{key}-")]
    done = ["done" in optuna.load_study(study_name=name, storage=storage).user_attrs for name in names]
    return bool(done) and all(done)


def open_studies(
    storage, workers, key: str, samplers: list[str], space: Space, *, create: bool
) -> dict[str, Study] | None:
    """{sampler: Study} of the search `key` that is going on; None where there is none and none is to be created.

    A search whose stage was done is left as it is; the next of the same key has names of its own.
    """
    import optuna

    names = set(optuna.get_all_study_names(storage))
    found = {}
    for sampler in samplers:
        number = 1
        while True:
            name = f"{key}-{sampler}" + (f"-{number}" if number > 1 else "")
            if name not in names:
                if not create:
                    return None
                study = optuna.create_study(study_name=name, storage=storage, load_if_exists=True)
                break
            study = optuna.load_study(study_name=name, storage=storage)
            if "done" not in study.user_attrs:
                break
            number += 1
        found[sampler] = Study(sampler, study, space, workers)
    return found
