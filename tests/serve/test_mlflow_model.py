"""The logged model: loaded by MLflow elsewhere, run by its command line, served over HTTP; always the same numbers."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
import pytest
from clone import ROOT, warm
from omegaconf import OmegaConf
from systems import KINDS, Project

from recipe.files import read_csv, write_csv
from recipe.serve.inputs import example_request
from recipe.serve.predict import prediction_frame
from recipe.serve.system import load
from recipe.tracking.tracker import Tracker

pytestmark = pytest.mark.slow
LOCAL = ("--env-manager", "local")
MLFLOW_MODEL = str(ROOT / "src/recipe/serve/mlflow_model.py")


@dataclass
class Logged:
    project: Project
    uri: str

    @property
    def root(self) -> Path:
        return self.project.root

    @property
    def env(self) -> dict[str, str]:
        """That of a user who has MLflow and torch, and nothing of this project on the path."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "MLFLOW_", "DVC_"))}
        path = f"{warm().shims}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return env | {
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.root / 'mlflow.db'}",
            "PATH": path,
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module", params=list(KINDS))
def logged(request, tmp_path_factory):
    """A system logged by a stage's tracker, into a store of its own."""
    root = tmp_path_factory.mktemp(request.param)
    made = KINDS[request.param][0](root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("DVC_ROOT", raising=False)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        cfg = OmegaConf.create({"runtime": {"mlflow": {"uri": None, "experiment": "recipe"}}, "seed": 0})
        tracker = Tracker(cfg, "ensemble", "ensemble", "")
        final = load(made.system)
        inputs = example_request(final.form, made.store)
        tracker.model(made.system, MLFLOW_MODEL, inputs, prediction_frame(final, inputs), register=True)
        assert not tracker.broken
        run = tracker.client.get_run(tracker.id)
        assert len(run.outputs.model_outputs) == 1
        assert tracker.client.get_model_version("recipe", "1").run_id == tracker.id
        tracker.client.set_terminated(tracker.id)
    return Logged(made, run.data.tags["recipe.model"])


def requests(project: Project) -> tuple[dict, dict[str, list[float]]]:
    """(a JSON request of some test examples as a person has them, {name: probabilities})."""
    expected = dict(list(project.test.items())[:5])
    if folder := next((at for at in (project.root / "photos", project.root / "xrays") if at.is_dir()), None):
        files = [(folder / name).read_bytes() for name in expected]
        return {"dataframe_records": [{"image": base64.b64encode(f).decode()} for f in files]}, expected
    if (project.root / "people.csv").is_file():
        lines = read_csv(project.root / "people.csv")
        picked = [lines[int(name.rpartition(" ")[2]) - 2] for name in expected]
        numbers = [{k: r[k] for k in ("age", "colour", "weight")} for r in picked]
        for r in numbers:
            r["age"], r["weight"] = (float(r[k]) if r[k] else None for k in ("age", "weight"))
        return {"dataframe_records": numbers}, expected
    x = np.load(project.root / "digits.npz")["x"]
    rows = [int(name.rpartition(" ")[2]) for name in expected]
    return {"inputs": x[rows][:, None].tolist()}, expected


def is_table(request: dict) -> bool:
    return "dataframe_records" in request and "image" not in request["dataframe_records"][0]


def agrees(answer: list[dict], expected: dict[str, list[float]], classes: list[str]) -> None:
    assert len(answer) == len(expected)
    for row, p in zip(answer, expected.values(), strict=True):
        assert [row[f"p_{c}"] for c in classes] == pytest.approx(p, abs=1e-6)
        assert row["predicted"] == classes[int(np.argmax(p))]


# What `mlflow models predict` and a server do with the text of a request, in a process like theirs.
ANSWERS = """
import json, sys, mlflow
from mlflow.pyfunc import scoring_server
model = mlflow.pyfunc.load_model(sys.argv[1])
example = model.predict(model.input_example)
schema = model.metadata.get_input_schema()
answers = [
    json.loads(scoring_server.invocations(open(file).read(), kind, model, schema).response)["predictions"]
    for file, kind in json.loads(sys.argv[2]).items()
]
import recipe
print(json.dumps([recipe.__file__, example.to_dict("list"), answers]))
"""


def test_a_process_without_this_project_predicts_the_same(logged, tmp_path):
    """The model brings its code along; it answers its own example and requests as the saved system does."""
    request, expected = requests(logged.project)
    bodies = {str(tmp_path / "in.json"): "application/json"}
    (tmp_path / "in.json").write_text(json.dumps(request))
    if is_table(request):
        bodies[str(tmp_path / "in.csv")] = "text/csv"
        write_csv(tmp_path / "in.csv", request["dataframe_records"])
    said = logged.run("python", "-c", ANSWERS, "models:/recipe/1", json.dumps(bodies))
    place, example, answers = json.loads(said.splitlines()[-1])
    assert str(logged.root / "mlruns") in place
    final, names = load(logged.project.system), logged.project.data.task.names
    right = prediction_frame(final, example_request(final.form, logged.project.store))
    assert example["predicted"] == right["predicted"].tolist()
    for name in names:
        assert example[f"p_{name}"] == pytest.approx(right[f"p_{name}"].tolist(), abs=1e-6)
    assert len(answers) == len(bodies)
    for answer in answers:
        agrees(answer, expected, names)


def test_no_pickle_is_in_the_model(logged):
    files = [f for f in (logged.root / "mlruns").rglob("*") if f.is_file()]
    assert not {f.suffix for f in files} & {".pkl", ".pickle", ".pt", ".pth", ".bin"}
    listed = next(f for f in files if f.name == "requirements.txt").read_text()
    assert "torch==" in listed
    assert "recipe" not in listed  # on a package index the name is another's


@pytest.mark.parametrize("logged", ["table"], indirect=True)
def test_mlflow_models_predict_on_a_file(logged, tmp_path):
    request, expected = requests(logged.project)
    (tmp_path / "in.json").write_text(json.dumps(request))
    place = ("-i", str(tmp_path / "in.json"), "-o", str(tmp_path / "out.json"), "-t", "json")
    logged.run("python", "-m", "mlflow", "models", "predict", "-m", logged.uri, *LOCAL, *place)
    agrees(json.loads((tmp_path / "out.json").read_text())["predictions"], expected, logged.project.data.task.names)
    write_csv(tmp_path / "in.csv", request["dataframe_records"])
    place = ("-i", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.json"), "-t", "csv")
    logged.run("python", "-m", "mlflow", "models", "predict", "-m", logged.uri, *LOCAL, *place)
    agrees(json.loads((tmp_path / "out.json").read_text())["predictions"], expected, logged.project.data.task.names)


@pytest.mark.parametrize("logged", ["folder", "digits"], indirect=True)
def test_a_server_answers_with_the_same_numbers(logged):
    request, expected = requests(logged.project)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["mlflow", "models", "serve", "-m", logged.uri, *LOCAL, "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--workers", "1"], cwd=logged.root, env=logged.env, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait(server, f"http://127.0.0.1:{port}/ping")
        invocation = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", json.dumps(request).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(invocation, timeout=60) as answer:
            agrees(json.loads(answer.read())["predictions"], expected, logged.project.data.task.names)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it never started
            os.killpg(server.pid, signal.SIGTERM)  # its workers too
        server.wait(30)


def _wait(server, url: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.poll() is None, "the server ended"
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(url, timeout=2).close()
            return
        time.sleep(0.3)
    raise TimeoutError(url)


def test_an_odd_row_has_a_reason_and_the_others_an_answer(logged):
    """As on the command line: one broken image, or one unknown name, does not cost the whole request."""
    final, (request, _) = load(logged.project.system), requests(logged.project)
    if "inputs" in request:
        pytest.skip("arrays have one shape")
    table = pandas.DataFrame(request["dataframe_records"])
    if "image" in table:
        table["image"] = [base64.b64decode(i) for i in table["image"]]
        table.loc[1, "image"] = b"<html>"
    else:
        table.loc[1, "colour"] = "purple"
    answer = prediction_frame(final, table)
    assert (answer["problem"] != "").tolist() == [False, True, False, False, False]
    json.dumps(answer.to_dict("records"), allow_nan=False)  # null, which every reader of JSON knows
    assert answer["predicted"].isna().tolist() == [False, True, False, False, False]
