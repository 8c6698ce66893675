"""Stages run with passwords in the environment, and nothing that they leave behind has one."""

import base64
import contextlib
import http.client
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from clone import Clone, Said, fresh

pytestmark = pytest.mark.slow
SECRET = "".join(["S3CRET", "7x"])  # this file is in the clone too


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Clone:
    """A clone whose first stage has run."""
    made = fresh(tmp_path_factory.mktemp("secrets") / "clone")
    made.choose_table()
    made.repro("prepare")
    return made


@pytest.fixture(scope="module")
def ports():
    """(of which nobody listens, of which somebody listens and never answers)."""
    with socket.socket() as closed, socket.socket() as silent:
        closed.bind(("127.0.0.1", 0))
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        yield closed.getsockname()[1], silent.getsockname()[1]


def require_no_trace(clone: Clone, said: Said) -> None:
    assert SECRET not in said.text
    assert "@CRET" not in said.text  # half of one with an @ in it
    files = [f for f in clone.root.rglob("*") if f.is_file() and not f.is_symlink() and ".git" not in f.parts]
    assert any(f.name == "mlflow.db" for f in files)
    held = [str(f.relative_to(clone.root)) for f in files if SECRET.encode() in f.read_bytes() or SECRET in str(f)]
    assert held == []


DEAD = {
    "http": f"http://me:{SECRET}@127.0.0.1:{{closed}}",
    "a silent server": f"http://me:{SECRET}@127.0.0.1:{{silent}}",
    "a token": f"http://{SECRET}@127.0.0.1:{{closed}}",
    "an @ in it": f"http://me:{SECRET}@CRET@127.0.0.1:{{closed}}",
    "postgresql": f"postgresql+pg8000://me:{SECRET}@127.0.0.1:{{closed}}/name",
    "postgresql by query": f"postgresql+pg8000://127.0.0.1:{{closed}}/name?user=me&password={SECRET}",
    "no driver": f"mysql+nosuch://me:{SECRET}@127.0.0.1:{{closed}}/name",
}


@pytest.mark.parametrize("kind", list(DEAD))
def test_an_mlflow_store_that_cannot_be_used_is_named_without_its_password(prepared, ports, kind):
    pytest.importorskip("pg8000", reason="pip install .[postgres]")
    uri = DEAD[kind].format(closed=ports[0], silent=ports[1])
    commands = [("python", "pipeline/prepare.py")]
    if kind in ("http", "postgresql"):
        commands.append(("python", "pipeline/prepare.py", "-m", "seed=0,1"))
        commands.append(("dvc", "repro", "--force", "--single-item", "prepare"))
    for command in commands:
        said = prepared.run(*command, code=None, MLFLOW_TRACKING_URI=uri)
        assert said.code != 0
        assert "127.0.0.1" in said.text
        assert "Traceback" not in said.text
        require_no_trace(prepared, said)


STORAGES = {
    "in the query": f"postgresql+pg8000://127.0.0.1:9/name?user=me&password={SECRET}",
    "an @ in it": f"postgresql+pg8000://me:{SECRET}@CRET@127.0.0.1:9/name",
    "an @ in the query": f"postgresql+pg8000://127.0.0.1:9/name?user=me&password={SECRET}@CRET",
    "plain": f"postgresql+pg8000://me:{SECRET}@127.0.0.1:9/name",
}


@pytest.mark.parametrize("kind", list(STORAGES))
def test_stages_that_do_not_need_the_storage_log_its_address_without_the_password(prepared, kind):
    said = prepared.by_hand("prepare", RECIPE_STORAGE=STORAGES[kind])
    require_no_trace(prepared, said)
    if kind == "plain":
        command = ("dvc", "repro", "--force", "--single-item", "prepare", "embed", "audit")
        said = prepared.run(*command, RECIPE_STORAGE=STORAGES[kind])
        require_no_trace(prepared, said)
    configs = [f.read_text() for f in (prepared.root / "mlruns").rglob("config.yaml")]
    assert any("***" in text and "127.0.0.1:9" in text for text in configs)


@pytest.mark.parametrize("words", [(), ("-m", "seed=0,1")], ids=["a run", "a multirun"])
def test_an_address_on_the_command_line_is_kept_without_its_password(prepared, words):
    storage = f"runtime.storage='postgresql+pg8000://someone:{SECRET}@127.0.0.1:9/name'"
    said = prepared.by_hand("prepare", *words, storage)
    require_no_trace(prepared, said)
    kept = [f.read_text() for f in (prepared.root / "outputs").rglob("overrides.yaml")]
    assert any("someone:***@127.0.0.1:9" in text for text in kept)
    require_no_trace(prepared, prepared.by_hand("prepare", *words, storage, "sed=1", code=1))


@pytest.mark.parametrize(
    "words",
    [("hydra.output_subdir=words",), ("-m", "seed=0,1", "hydra.sweep.subdir='jobs/${hydra.job.num}'")],
    ids=["a folder of another name", "jobs that lie deeper"],
)
def test_an_address_on_the_command_line_is_masked_wherever_hydra_keeps_it(prepared, words):
    storage = f"runtime.storage='postgresql+pg8000://someone:{SECRET}@127.0.0.1:9/name'"
    require_no_trace(prepared, prepared.by_hand("prepare", *words, storage))


@pytest.mark.parametrize("key", ["mlflow.uri", "storage"])
def test_a_password_with_a_blank_on_the_command_line_is_kept_nowhere(prepared, key):
    scheme = "http" if key == "mlflow.uri" else "postgresql+pg8000"
    word = f"runtime.{key}='{scheme}://me:aa {SECRET}@127.0.0.1:9/name'"
    require_no_trace(prepared, prepared.by_hand("prepare", word, code=int(key == "mlflow.uri")))


LEAKY = """import os


class Data:
    classes = ["a", "b"]

    def __getitem__(self, at):
        pass

    def __len__(self):
        raise SystemError(os.environ["RECIPE_STORAGE"])
"""


def test_a_stage_that_dies_of_an_error_with_an_address_in_it_logs_it_without_the_password(prepared):
    """As libraries raise them."""
    prepared.write("src/own/leaky.py", LEAKY)
    prepared.write("conf/data/leaky.yaml", "_target_: own.leaky.Data\n")
    said = prepared.by_hand("prepare", "data=leaky", code=1, RECIPE_STORAGE=STORAGES["plain"])
    assert "me:***@127.0.0.1:9" in said.text
    require_no_trace(prepared, said)
    traces = [f.read_text() for f in (prepared.root / "mlruns").rglob("traceback.txt")]
    assert any("me:***@127.0.0.1:9" in text for text in traces)


@pytest.mark.parametrize("kind", list(STORAGES))
def test_a_search_says_which_storage_it_cannot_use_without_the_password(whole, tmp_path, kind):
    pytest.importorskip("pg8000", reason="pip install .[postgres]")
    clone = whole.copy(tmp_path / "clone")
    commands = [("python", "pipeline/tune.py", "trials=2"), ("python", "-m", "recipe.cli", "worker")]
    commands += [("dvc", "repro", "--force", "--single-item", "tune")] if kind == "plain" else []
    for command in commands:
        said = clone.run(*command, code=None, RECIPE_STORAGE=STORAGES[kind])
        assert said.code != 0
        assert "RECIPE_STORAGE" in said.text
        assert "127.0.0.1" in said.text
        assert "Traceback" not in said.text
        require_no_trace(clone, said)


# ---- a real server behind a login ---------------------------------------------------------------------------------


class Proxy(BaseHTTPRequestHandler):
    """Passes on what comes with the login, as a reverse proxy does that guards an MLflow server."""

    def _pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        login = base64.b64encode(f"me:{SECRET}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {login}":
            self.server.refused.append(self.path)
            self.send_error(401)
            return
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        kept = {k: v for k, v in self.headers.items() if k not in ("Host", "Authorization")}
        behind.request(self.command, self.path, body, kept)
        answer = behind.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    def log_message(self, *args):
        pass


@pytest.fixture
def guarded(prepared, tmp_path):
    """The port of a proxy that demands a login, before an MLflow server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = prepared.start(
        "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}", "--artifacts-destination",
        str(tmp_path / "artifacts"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        cold=True, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
    )  # fmt: skip
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    proxy.behind, proxy.refused = port, []
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        _wait(server, f"http://127.0.0.1:{port}/health")
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        with contextlib.suppress(ProcessLookupError):  # it never started
            os.killpg(server.pid, signal.SIGTERM)  # its workers too
        server.wait(30)


def _wait(server, url: str, seconds: float = 120) -> None:
    end = time.time() + seconds
    while time.time() < end and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(url, timeout=2).close()
            return
        time.sleep(0.3)
    pytest.skip("mlflow server did not start here")


def test_a_stage_logs_to_a_server_that_demands_a_login(prepared, guarded):
    import mlflow

    uri = f"http://me:{SECRET}@127.0.0.1:{guarded.server_port}"
    said = prepared.by_hand("prepare", MLFLOW_TRACKING_URI=uri)
    assert "MLflow:" not in said.text  # of a failure
    require_no_trace(prepared, said)
    assert guarded.refused == []
    client = mlflow.MlflowClient(f"http://127.0.0.1:{guarded.behind}")
    experiment = client.get_experiment_by_name("recipe")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert {f.path for f in client.list_artifacts(run.info.run_id)} >= {"report.json", "config.yaml"}
    wrong = prepared.by_hand("prepare", code=1, MLFLOW_TRACKING_URI=uri.replace(SECRET, "other"))
    assert "refuses the login" in wrong.text
