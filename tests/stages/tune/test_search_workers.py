"""The protocol: whoever works, and whenever they are killed, the trials are the same, and each is trained once."""

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
import searching
from hypothesis import given, settings
from hypothesis import strategies as st
from searching import config, ended, forked, kill, linear, opened, trial_rows, whole

from recipe.errors import RecipeError
from recipe.stages.tune import storage, study, worker
from recipe.stages.tune.trials import Trial


class Killed(BaseException):
    """As SIGKILL, but for the process's memory, which is thrown away."""


@pytest.fixture
def formula(monkeypatch):
    monkeypatch.setattr(worker, "train_cohort", searching.formula)
    monkeypatch.setattr(worker, "POLL", 0.01)


def once_each(search) -> None:
    """Every trial has one finished row; other rows were freed."""
    for of in search.studies.values():
        rows = of.optuna_study.get_trials(deepcopy=False)
        done = Counter(study.key_of_row(row) for row in rows if study._finished_result(row))
        cfg = search.setup.cfg
        assert done == Counter({(r, i): 1 for r in range(cfg.repeats) for i in range(cfg.trials)})
        assert not any(row.state.name == "RUNNING" for row in rows)


def test_a_search_has_each_trial_once_and_is_the_same_again(formula, tmp_path):
    first = whole(config(), tmp_path / "a")
    assert whole(config(), tmp_path / "b") == first
    assert len(first) == 2 * 2 * 5
    assert {row["state"] for row in first} == {"complete", "pruned", "failed"}


@pytest.mark.slow
@given(st.lists(st.integers(1, 90), max_size=5), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_killed_at_any_write_it_ends_as_if_it_had_not_been(tmp_path_factory, points, seed):
    home, again = tmp_path_factory.mktemp("killed"), tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "train_cohort", searching.formula)
        cfg = config(seed=seed)
        for point in points:
            search, left = opened(cfg, home), [point]

            def count(left=left):
                left[0] -= 1
                if not left[0]:
                    raise Killed

            for storage in searching.storages(search):
                searching.writes(storage, count)
            with contextlib.suppress(Killed):
                worker.take_part(search)
            search.close()
        last = opened(cfg, home)
        worker.take_part(last)
        last.close()
        assert trial_rows(last) == whole(cfg, again)
        once_each(last)


def dies(cfg, home, seconds: float) -> int:
    """A worker in a process of its own, killed with -9 after so many seconds unless it is done; its exit code."""

    def work() -> None:
        search = opened(cfg, home)
        worker.take_part(search)

    pid = forked(work)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    kill(pid)
    return ended(pid)


@pytest.mark.slow
def test_killed_with_9_at_twenty_moments_real_trainings_end_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr("recipe.train.engine.EVERY", 0.0)  # a checkpoint at every evaluation
    cfg, draw, codes = linear(), random.Random(0), []
    first = whole(cfg, tmp_path / "whole")
    for _ in range(20):
        codes.append(dies(cfg, tmp_path / "killed", draw.uniform(0.02, 0.6)))
        if codes[-1] == 0:
            shutil.rmtree(tmp_path / "killed")
    last = opened(cfg, tmp_path / "killed")
    worker.take_part(last)
    last.close()
    assert trial_rows(last) == first
    assert codes.count(-9) >= 8, codes
    once_each(last)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["journal", "sqlite:///{}/trials.db"])
def test_several_workers_do_what_one_does(monkeypatch, tmp_path, place):
    monkeypatch.setattr(worker, "POLL", 0.02)
    cfg = linear(together=2, storage=place.format(tmp_path))
    first = whole(linear(together=2), tmp_path / "one")

    def work() -> None:
        search = opened(cfg, tmp_path / "three")
        worker.take_part(search)
        search.close()

    opened(cfg, tmp_path / "three").close()
    assert [ended(pid) for pid in [forked(work) for _ in range(3)]] == [0, 0, 0]
    last = opened(cfg, tmp_path / "three", create=False)
    assert worker.take_part(last) == 0  # nothing is left
    assert trial_rows(last) == first
    once_each(last)
    last.close()
    workers = {row.user_attrs["worker"] for s in last.studies.values() for row in s.optuna_study.get_trials()}
    assert len(workers) > 1


def test_what_is_finished_is_not_trained_again(formula, monkeypatch, tmp_path):
    whole(config(), tmp_path)
    monkeypatch.setattr(worker, "train_cohort", None)
    again = opened(config(), tmp_path)
    assert worker.take_part(again) == 0
    again.close()


def test_a_search_that_is_done_is_begun_anew_by_the_next_run(formula, tmp_path):
    first = opened(config(), tmp_path)
    worker.take_part(first)
    first.set_aside()
    with pytest.raises(worker.NoSearch, match=r"the search of this .* is over\. To begin the next: "):
        opened(config(), tmp_path, create=False)
    second = opened(config(), tmp_path)
    opened(config(), tmp_path, create=False).close()
    assert worker.take_part(second) == 20
    assert trial_rows(second) == trial_rows(first)
    second.close()


def test_a_worker_without_a_search_says_so_and_makes_no_file(tmp_path):
    with pytest.raises(RecipeError, match="Start it: dvc repro tune"):
        opened(config(), tmp_path, create=False)
    assert not list(tmp_path.iterdir())


def test_another_configuration_is_another_search(formula, tmp_path):
    keys = {opened(cfg, tmp_path).key for cfg in (config(), config(trials=6), config(seed=1))}
    assert len(keys) == 3


def test_a_worker_that_lost_its_trials_does_not_write_over_them(formula, monkeypatch, tmp_path):
    """It slept, was taken for dead, and another finished its trials."""
    sleeper, cfg = opened(config(), tmp_path), config()

    def meanwhile(setup, sampler, cohort, past, folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker, "train_cohort", searching.formula)
            patch.setattr(storage.FileLiveness, "is_alive", lambda self, name: name == self.name)
            other = opened(cfg, tmp_path)
            worker.take_part(other)
            other.close()
        return [Trial(sampler, *key, params, "complete", -1.0) for key, params in cohort.items()]

    monkeypatch.setattr(worker, "train_cohort", meanwhile)
    assert worker.take_part(sleeper) == 0
    sleeper.close()
    once_each(sleeper)
    assert trial_rows(sleeper) == whole_of_formula(cfg, tmp_path / "other", monkeypatch)


def whole_of_formula(cfg, home, monkeypatch):
    monkeypatch.setattr(worker, "train_cohort", searching.formula)
    return whole(cfg, home)


def test_two_that_claim_at_once(tmp_path):
    """Both write a row before either reads: the lower number holds the cohort."""
    one, two = opened(config(), tmp_path), opened(config(), tmp_path)
    first, second = one.studies["random"], two.studies["random"]
    cohort = dict(list(worker.proposals(one.setup.cfg, first, range(5)).items())[:2])
    leader = next(iter(cohort))
    is_held = first.is_held
    first.is_held = lambda key: False
    row = second._write(leader, cohort[leader])  # the lower number, though `first` does not know of it
    assert first.claim(cohort) is None
    first.is_held = is_held
    rows = [r for r in first.optuna_study.get_trials() if study.key_of_row(r) == leader]
    assert [r.state.name for r in rows] == ["RUNNING", "FAIL"]
    assert rows[1].user_attrs["surplus"]
    assert storage.trial_id(second.storage, second.optuna_study, rows[0]) == row
    one.close()
    two.close()


@pytest.mark.parametrize("moment", range(1, 7))
def test_a_holder_that_finishes_while_another_claims(tmp_path, moment):
    """At whichever reading of the storage the other one finishes, its trial is not trained again."""
    one, two = opened(config(), tmp_path), opened(config(), tmp_path)
    first, second = one.studies["random"], two.studies["random"]
    cohort = dict(list(worker.proposals(one.setup.cfg, first, range(5)).items())[:1])
    ((leader, params),) = cohort.items()
    readings, get_trials, written = [], first.optuna_study.get_trials, []

    def reading(*args, **kwargs):
        readings.append(args)
        rows = get_trials(*args, **kwargs)
        if len(readings) == 1:
            written.append(second._write(leader, params))
        if len(readings) == moment:
            second.write_result(written[0], Trial("random", *leader, params, "complete", 1.0))
        return rows

    first.optuna_study.get_trials = reading
    assert first.claim(cohort) is None
    first.optuna_study.get_trials = get_trials
    rows = [r for r in get_trials() if study.key_of_row(r) == leader]
    assert [row.state.name for row in rows if study._finished_result(row)] == ["COMPLETE"][: len(readings) >= moment]
    one.close()
    two.close()


def test_a_line_that_was_left_half_is_cut_off(formula, tmp_path):
    search = opened(config(), tmp_path)
    worker.take_part(search)
    search.close()
    (journal,) = (tmp_path / ".recipe" / "tune").glob("*.log")
    with open(journal, "ab") as file:
        file.write(b'{"op_code":4,"worker_id":"half a l')
    search = opened(config(), tmp_path)
    search.set_aside()  # a write
    assert journal.read_bytes().endswith(b"}\n")
    assert b"half a l" not in journal.read_bytes()


def test_optuna_dashboard_opens_the_storage(formula, tmp_path):
    dashboard = pytest.importorskip("optuna_dashboard", reason="pip install optuna-dashboard")
    import io
    import json

    search = opened(config(), tmp_path)
    worker.take_part(search)
    app, said = dashboard.wsgi(search.studies["random"].storage), []
    request = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies", "wsgi.input": io.BytesIO(), "SERVER_NAME": "x",
               "SERVER_PORT": "1", "wsgi.url_scheme": "http", "wsgi.errors": io.StringIO()}  # fmt: skip
    body = b"".join(app(request, lambda status, headers, *more: said.append(status)))
    assert said[0].startswith("200")
    assert len(json.loads(body)["study_summaries"]) == 2
    search.close()


# ---- databases -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_database_file_serves_as_well(formula, tmp_path):
    first = whole(config(), tmp_path / "journal")
    assert whole(config(storage=f"sqlite:///{tmp_path}/trials.db"), tmp_path / "database") == first


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("jornal", "must be `journal` or a database's address"),
        ("postgresql+pg8000://me:secret@127.0.0.1:1/none", r"\*\*\*"),
        ("oracle://me:secret@nowhere/none", "no driver for"),
    ],
)
def test_a_storage_that_cannot_be_used(tmp_path, place, words):
    if "pg8000" in place:
        pytest.importorskip("pg8000", reason="pip install .[postgres]")
    with pytest.raises(RecipeError, match=words) as caught:
        opened(config(storage=place), tmp_path)
    assert "secret" not in str(caught.value)


@pytest.fixture(scope="module")
def postgres():
    """A server for these tests alone; it ends when they do."""
    pytest.importorskip("pg8000", reason="pip install .[postgres]")
    places = [*os.environ["PATH"].split(":"), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))]
    path = ":".join(places)
    if not shutil.which("initdb", path=path):
        pytest.skip("no initdb: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest's folders are closed to other users
    own = {}
    if os.getuid() == 0:  # the server refuses to be root
        shutil.chown(folder, "postgres")
        own = {"user": "postgres", "group": "postgres", "extra_groups": []}
    env = os.environ | {"PATH": path, "LC_ALL": "C"}

    def command(*words: str) -> None:
        program = shutil.which(words[0], path=path)
        subprocess.run(
            [program, *words[1:]], env=env, cwd="/", check=True, capture_output=True, timeout=120, **own
        )  # fmt: skip

    port = searching.free_port()
    command("initdb", "-D", f"{folder}/data", "-U", "me", "--auth=trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    command("pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o", options, "start")
    yield f"postgresql+pg8000://me:secret@127.0.0.1:{port}/postgres"
    command("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.mark.slow
def test_workers_on_postgresql_do_what_one_does(postgres, monkeypatch, tmp_path):
    monkeypatch.setattr(worker, "POLL", 0.05)
    cfg = linear(together=2, storage=postgres)
    first = whole(linear(together=2), tmp_path / "one")
    opened(cfg, tmp_path / "three").close()

    def work() -> None:
        worker.take_part(opened(cfg, tmp_path / "three", create=False))

    assert [ended(pid) for pid in [forked(work) for _ in range(3)]] == [0, 0, 0]
    last = opened(cfg, tmp_path / "three", create=False)
    assert worker.take_part(last) == 0
    assert trial_rows(last) == first
    once_each(last)


@pytest.mark.slow
def test_a_worker_killed_at_postgresql_gives_its_trials_back(postgres, monkeypatch, tmp_path):
    monkeypatch.setattr(storage, "BEAT", 1)
    monkeypatch.setattr(storage, "GRACE", 2)
    monkeypatch.setattr(worker, "POLL", 0.1)
    cfg = linear(seed=1, storage=postgres)
    first = whole(linear(seed=1), tmp_path / "one")
    opened(cfg, tmp_path / "two").close()

    def work() -> None:
        search = opened(cfg, tmp_path / "two", create=False)

        def stuck(*args):
            print("at work", flush=True)
            time.sleep(600)

        worker.train_cohort = stuck
        worker.take_part(search)

    pid = forked(work)
    watch = opened(cfg, tmp_path / "two", create=False)
    until = time.monotonic() + 60
    while not any(storage.running_trials(s.optuna_study) for s in watch.studies.values()):
        assert time.monotonic() < until
        time.sleep(0.1)
    kill(pid)
    assert ended(pid) == -9
    worker.take_part(watch)
    assert trial_rows(watch) == first
    once_each(watch)
