"""Where the trials of a search are kept: Optuna's storage in a journal file or a database, and who is alive at it.

Any number of workers share a storage, and each of them may be killed at any moment. A trial that a dead worker had
claimed must become free again, so every worker gives a sign of life: the lock of a file beside a journal
(`FileLiveness`), or a time stamp in a database (`Heartbeat`).
"""

import contextlib
import math
import os
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import optuna
from filelock import FileLock, Timeout
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, fail_stale_trials
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from recipe.addresses import masked, remember, require_encoded
from recipe.errors import RecipeError

BEAT = 10  # seconds between the heartbeats of a worker at a database
GRACE = 60  # seconds without a heartbeat, after which the trials of a worker are free
LOCK_POLL = 0.005  # seconds between two tries to take the lock of a journal
EXTRA = "pip install -e '.[postgres]'"
WHERE = "storage in conf/runtime/local.yaml, or RECIPE_STORAGE"

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Liveness(Protocol):
    """Which workers are alive. name: of this process's worker."""

    name: str

    def orphans(self, study: optuna.Study) -> list[FrozenTrial]:
        """The running trials whose worker is dead, which the caller has to free."""

    def working(self, trial_ids: list[int]) -> contextlib.AbstractContextManager[None]:
        """Inside the block this worker trains these trials."""

    def close(self) -> None:
        """This worker has ended."""


class JournalLock:
    """The lock of a journal, which the kernel releases when its holder is killed.

    With Optuna's own locks the other workers would wait for half a minute then. An incomplete last line, left by a
    writer that was killed, is removed.
    """

    def __init__(self, journal: Path):
        self.journal, self.lock = journal, FileLock(journal.with_suffix(".lock"))

    def acquire(self) -> bool:
        self.lock.acquire(poll_interval=LOCK_POLL)
        with open(self.journal, "rb+") as journal:
            end = journal.seek(0, os.SEEK_END)
            if end and (journal.seek(end - 1), journal.read(1))[1] != b"\n":
                journal.seek(0)
                journal.truncate(journal.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        self.lock.release()


class FileLiveness:
    """The workers at one journal: each holds the lock of its own file while it is alive."""

    def __init__(self, journal: Path):
        self.folder = journal.with_suffix(".workers")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = uuid.uuid4().hex
        self.lock = FileLock(self.folder / self.name)
        self.lock.acquire(blocking=False)

    def is_alive(self, worker: str) -> bool:
        if worker == self.name:
            return True
        if not (self.folder / worker).exists():
            return False
        try:
            with FileLock(self.folder / worker).acquire(blocking=False):
                return False
        except Timeout:
            return True

    def orphans(self, study: optuna.Study) -> list[FrozenTrial]:
        return [trial for trial in running_trials(study) if not self.is_alive(trial.user_attrs["worker"])]

    @contextlib.contextmanager
    def working(self, trial_ids: list[int]) -> Iterator[None]:
        yield

    def close(self) -> None:
        (self.folder / self.name).unlink(missing_ok=True)
        self.lock.release()


class Heartbeat:
    """The workers at one database: each writes a heartbeat for its trials every BEAT seconds."""

    def __init__(self, storage: RDBStorage):
        self.storage, self.name = storage, uuid.uuid4().hex
        self.first_seen: dict[tuple[str, int], float] = {}  # {(study, number of a running trial): when}

    def orphans(self, study: optuna.Study) -> list[FrozenTrial]:
        now = time.monotonic()
        for trial in running_trials(study):
            # A worker that is killed before its first heartbeat leaves none that could grow old. We write one for it.
            row = study.study_name, trial.number
            if now - self.first_seen.setdefault(row, now) > GRACE:
                self.storage.record_heartbeat(trial_id(self.storage, study, trial))
                self.first_seen[row] = math.inf
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            fail_stale_trials(study)
        return []

    @contextlib.contextmanager
    def working(self, trial_ids: list[int]) -> Iterator[None]:
        over = threading.Event()

        def beat() -> None:
            while True:
                for id_ in trial_ids:
                    with contextlib.suppress(Exception):  # the server may be away for a moment
                        self.storage.record_heartbeat(id_)
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


def running_trials(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def trial_id(storage: BaseStorage, study: optuna.Study, trial: FrozenTrial) -> int:
    """The storage's id of a trial; its number counts within its study alone."""
    return storage.get_trial_id_from_study_id_trial_number(
        storage.get_study_id_from_name(study.study_name), trial.number
    )


# ---- opened ------------------------------------------------------------------------------------------------------


def storage_address(place: str, journal: Path) -> str:
    """The storage as users and optuna-dashboard know it, without a password."""
    return str(journal) if place == "journal" else masked(place)


def open_storage(place: str, journal: Path) -> tuple[BaseStorage, Liveness]:
    """Optuna's storage, and who is alive at it. place: `journal`, or the address of a database.

    Raises RecipeError where a database cannot be used.
    """
    if place == "journal":
        journal.parent.mkdir(parents=True, exist_ok=True)
        lock = JournalLock(journal)
        backend = JournalFileBackend(str(journal), lock_obj=lock)  # type: ignore[arg-type]  # Optuna's base is private
        return JournalStorage(backend), FileLiveness(journal)
    storage = _open_database(place)
    return storage, Heartbeat(storage)


def _open_database(place: str) -> RDBStorage:
    from sqlalchemy.engine import make_url  # here, for a journal needs no database
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    remember(place)
    require_encoded(place, WHERE)
    address = masked(place)
    try:
        make_url(place)
    except (ArgumentError, ValueError):  # ValueError: a port that is not a number
        raise RecipeError(
            f"{WHERE}: it must be `journal` or a database's address, as in postgresql+pg8000://user:password@host/name "
            "or sqlite:///file."
        ) from None
    options: dict = {"connect_args": {"timeout": 60}} if place.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return RDBStorage(place, engine_kwargs=options, heartbeat_interval=BEAT, grace_period=GRACE)
    except (ImportError, SQLAlchemyError, RuntimeError, optuna.exceptions.OptunaError) as error:
        cause: BaseException = error
        while cause.__cause__:
            cause = cause.__cause__
        if isinstance(cause, ImportError):
            raise RecipeError(f"{WHERE}: no driver for {address}. For PostgreSQL: {EXTRA}") from None
        raise RecipeError(f"{WHERE}: {address} cannot be used: {masked(str(cause).splitlines()[0])}") from None
