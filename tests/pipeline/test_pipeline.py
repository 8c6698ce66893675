"""A whole run: what MLflow holds of it, who may read the test set, and sweeps that touch nothing of it."""

import contextlib
import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import yaml
from clone import ROOT, UP_TO_DATE, Clone
from omegaconf import OmegaConf
from pyarrow import parquet

from recipe.config.changes import leaves
from recipe.config.compose import STAGES
from recipe.files import fingerprint, read_csv, read_table, write_csv
from recipe.stages.stage_report import COLUMNS, METRIC

pytestmark = pytest.mark.slow


# ---- the test set --------------------------------------------------------------------------------------------


def test_the_ensemble_alone_depends_on_the_test_list():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert [s for s, entry in stages.items() if "runs/split/test.csv" in entry["deps"]] == ["ensemble"]
    files = [*(ROOT / "pipeline").glob("*.py"), *(ROOT / "src/recipe").rglob("*.py")]
    readers = {f.relative_to(ROOT).as_posix() for f in files if re.search(r"\b(load|read)_test\(", f.read_text())}
    assert readers == {"pipeline/ensemble.py", "src/recipe/stages/splits.py", "src/recipe/data/batches.py"}


MADE_ON_VAL = re.compile(r"(members|system)/|choice|sizes|longer")


def test_no_stage_before_the_ensemble_sees_the_test_set(clone):
    """With other inputs and labels in test, earlier stages' outputs are the same bytes; the ensemble's are not."""
    rows = read_csv(clone.root / "runs/split/test.csv")
    inputs = np.load(clone.root / "runs/prepare/inputs.npy")
    inputs[[int(r["row"]) for r in rows]] = np.random.default_rng(0).integers(0, 256, inputs[: len(rows)].shape)
    np.save(clone.root / "runs/prepare/inputs.npy", inputs)
    write_csv(clone.root / "runs/split/test.csv", [r | {"label": (int(r["label"]) + 1) % 10} for r in rows])
    file, ids = clone.root / "runs/prepare/examples.parquet", {r["id"] for r in rows}
    examples = parquet.read_table(file).to_pylist()
    changed = [e | {"label": (e["label"] + 1) % 10} if e["id"] in ids else e for e in examples]
    parquet.write_table(pyarrow.Table.from_pylist(changed), file)

    earlier = ("baseline", "overfit")  # the others read their data by the same function
    before, final = clone.outputs(*earlier), clone.report("ensemble")
    chosen = {file: content for file, content in clone.outputs("ensemble").items() if MADE_ON_VAL.search(file)}
    clone.as_dvc(*earlier)
    assert clone.outputs(*earlier) == before
    clone.as_dvc("ensemble", code=None)
    assert {Path(file).name for file in chosen} >= {"0.safetensors", "choice.yaml", "system.yaml", "longer.csv"}
    assert {file: clone.read(file) for file in chosen} == chosen
    assert clone.report("ensemble")["metrics"]["test_accuracy"] < final["metrics"]["test_accuracy"] - 0.5


# ---- MLflow --------------------------------------------------------------------------------------------------


def children(clone: Clone, run) -> list:
    return clone.runs(f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")


def test_every_stage_is_one_finished_run(whole):
    for stage in STAGES:
        (run,) = whole.stage_runs(stage)
        assert run.info.status == "FINISHED"
        assert run.info.run_name == stage
        assert "mlflow.parentRunId" not in run.data.tags


def test_a_run_says_what_made_it_and_what_it_found(whole):
    commit = whole.git("rev-list", "--max-parents=0", "HEAD").strip()
    fingerprints = {json.loads(whole.read("runs/prepare/store.json"))["fingerprint"]}
    for stage in STAGES:
        run, report = whole.last_run(stage), whole.report(stage)
        exact = json.loads(whole.read(f"runs/{stage}/exact.json"))
        tags = run.data.tags
        assert tags["recipe.stage"] == stage
        assert tags["mlflow.source.git.commit"].startswith(commit)
        assert tags["recipe.evidence"] == fingerprint(json.loads(whole.read(f"runs/{stage}/report.json")))
        gates = {f"gate.{c['check']}": c["verdict"] for c in report["checks"] if c["gate"]}
        assert {k: v for k, v in tags.items() if k.startswith("gate.")} == gates
        assert run.data.metrics.items() >= exact["metrics"].items()
        assert tags.get("recipe.data") in fingerprints or stage in ("split", "embed", "report")


def test_a_runs_params_are_what_was_chosen(whole):
    params = whole.last_run("baseline").data.params
    assert {"model": "convnet", "data": "digits", "seed": "0", "optimizer.lr": "0.003", "seeds": "1"}.items() <= (
        params.items()
    )


def test_lanes_trials_and_members_are_children_with_curves(whole):
    client = whole.mlflow()
    expected = {"baseline": 3, "overfit": 2, "tune": 2 * 2 * 4 + 2 * 2, "ensemble": 2 + 1 + 2 + 1}
    for stage, count in expected.items():
        lanes = children(whole, whole.last_run(stage))
        assert len(lanes) == count, stage
        for lane in lanes:
            assert lane.info.status == "FINISHED"
            assert {"val_loss", "best/val_loss"} <= set(lane.data.metrics)
        curves = [client.get_metric_history(lane.info.run_id, "curve/val_loss") for lane in lanes]
        steps = [m.step for m in max(curves, key=len)]  # of those that were not stopped early
        assert len(steps) >= 3
        assert sorted(steps) == sorted(set(steps))
    trial = next(r for r in children(whole, whole.last_run("tune")) if r.info.run_name == "random 1.3")
    assert {"optimizer.lr", "sampler", "repeat", "trial"} <= set(trial.data.params)


def test_evidence_is_among_the_artifacts(whole):
    client = whole.mlflow()
    for stage in STAGES:
        run = whole.last_run(stage)
        held = {f.path for f in client.list_artifacts(run.info.run_id)}
        held |= {f.path for folder in list(held) for f in client.list_artifacts(run.info.run_id, folder)}
        pictures = {figure["file"] for figure in whole.report(stage)["figures"]}
        assert held >= {"report.json", "config.yaml"} | pictures
    assert "report.html" in held


def test_a_server_on_the_store_serves_the_runs(whole):
    """Through the REST API that the UI itself uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store, base = f"sqlite:///{whole.root / 'mlflow.db'}", f"http://127.0.0.1:{port}"
    command = ["mlflow", "server", "--backend-store-uri", store, "--host", "127.0.0.1", "--port", str(port)]
    server = whole.start(*command, "--workers", "1", cold=True, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    try:
        _wait(server, f"{base}/health")
        query = {"experiment_ids": ["1"], "filter": "tags.`recipe.stage` = 'report'", "max_results": 5}
        (run,) = _ask(f"{base}/api/2.0/mlflow/runs/search", query)["runs"]
        assert run["info"]["status"] == "FINISHED"
        files = _ask(f"{base}/api/2.0/mlflow/artifacts/list?run_id={run['info']['run_id']}")["files"]
        assert "report.html" in {f["path"] for f in files}
        page = f"{base}/get-artifact?run_id={run['info']['run_id']}&path=report.html"
        with urllib.request.urlopen(page, timeout=30) as answer:
            assert answer.read() == whole.read("runs/report.html")
    finally:
        with contextlib.suppress(ProcessLookupError):  # it never started
            os.killpg(server.pid, signal.SIGTERM)  # its workers too
        server.wait(30)


def _ask(url: str, body: dict | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def _wait(server, url: str, seconds: float = 60) -> None:
    end = time.time() + seconds
    while time.time() < end and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    pytest.skip("mlflow server did not start here")


def test_the_saved_system_gives_the_numbers_of_the_report(whole, tmp_path):
    """`recipe predict` on the stored inputs, against the table that the ensemble stage wrote."""
    out = tmp_path / "all.csv"
    whole.run("python", "-m", "recipe.cli", "predict", "runs/prepare/inputs.npy", "--out", str(out))
    predicted = read_csv(out)
    row_of = {r["id"]: int(r["row"]) for r in read_csv(whole.root / "runs/split/test.csv")}
    saved = read_table(whole.root / "runs/ensemble/predictions.parquet")
    assert len(saved) == len(row_of)
    for row in saved:
        names = [name for name in row if name.startswith("p_")]
        assert [float(predicted[row_of[row["id"]]][n]) for n in names] == pytest.approx([row[n] for n in names])


def test_the_saved_system_is_a_version_of_a_registered_model(whole):
    client, run = whole.mlflow(), whole.last_run("ensemble")
    (version,) = client.search_model_versions("name = 'recipe'")
    assert version.run_id == run.info.run_id
    assert run.data.tags["recipe.model"] == version.source
    held = {f.path for f in client.list_artifacts(run.info.run_id)}
    assert {"mispredictions.html", "suspects.csv", "system"} <= held
    outputs = b"".join(whole.outputs("ensemble").values())
    assert run.info.run_id.encode() not in outputs
    assert str(whole.root).encode() not in outputs


def test_the_report_links_the_mispredictions(whole):
    assert b'href="ensemble/mispredictions.html"' in whole.read("runs/report.html")


# ---- DVC's own tables and plots --------------------------------------------------------------------------------


def test_dvcs_tables_show_a_handful_of_numbers_a_stage(whole):
    """Once 871 columns: each key of each resolved config, and each metric of each stage."""
    shown = json.loads(whole.dvc("metrics", "show", "--json").text)[""]["data"]
    columns = {f"{stage}.{name}" for file in shown.values() for stage, row in file["data"].items() for name in row}
    assert columns == {f"{s}.{n}".replace(METRIC, "accuracy") for s, names in COLUMNS.items() for n in names}
    header = (
        whole.dvc("exp", "show", "--csv", "--drop", "src|pipeline|conf|resolved|runs/").text.splitlines()[0].split(",")
    )
    params = leaves(OmegaConf.create(yaml.safe_load(whole.read("params.yaml"))))
    assert len(header) <= 5 + len(columns) + len(params) + 2  # decisions.csv and params.yaml


def test_dvc_plots_shows_curves_and_the_ladder_of_scores(whole):
    said = whole.dvc("plots", "show", "--json").text
    plots = json.loads(said[said.index("{") :])
    assert "errors" not in plots
    points = {}
    for name, (plot,) in plots["data"].items():
        content = plot["content"] if isinstance(plot["content"], dict) else json.loads(plot["content"])
        assert "<DVC_METRIC" not in json.dumps(content), name
        points[name] = content["data"]["values"]
    assert set(points) == {"scores", "overfit", "regularize", "tune", "ensemble", "longer"}
    assert {p["field"] for p in points["overfit"]} == {"train_loss", "val_loss"}
    systems = [p["system"] for p in points["scores"]]
    assert systems[:3] == ["baseline: constant", "baseline: linear", "baseline: convnet"]
    assert len(systems) == len(set(systems))


# ---- by hand and sweeps --------------------------------------------------------------------------------------


def untouched(clone: Clone) -> None:
    assert clone.git("status", "--porcelain") == ""
    assert clone.dvc("status").text.strip() == UP_TO_DATE


def test_a_sweep_is_one_run_with_a_child_per_job(clone):
    said = clone.by_hand("baseline", "-m", "model=linear,mlp", "seed=0,1", "train.epochs=0.6")
    assert "Traceback" not in said.text
    (parent,) = clone.runs("tags.`recipe.sweep` LIKE '%model=linear,mlp%'")
    jobs = children(clone, parent)
    assert {(j.data.params["model"], j.data.params["seed"]) for j in jobs} == {
        (model, seed) for model in ("linear", "mlp") for seed in "01"
    }
    assert {parent.info.status} | {j.info.status for j in jobs} == {"FINISHED"}
    for job in jobs:
        assert {"val_loss", "val_accuracy", "train_loss"} <= set(job.data.metrics)
        assert job.data.params["train.epochs"] == "0.6"
    losses = {j.data.metrics["val_loss"] for j in jobs}
    assert len(losses) == 4, "two jobs gave the same result"
    untouched(clone)


def test_a_job_that_fails_does_not_stop_the_others(clone):
    said = clone.by_hand("split", "-m", "val=0.9,0.2", code=1)
    assert "split: 1 of 2 jobs failed" in said.text
    assert "Traceback" not in said.text
    assert not (clone.root / said.folder / "0/report.json").exists()
    assert (clone.root / said.folder / "1/report.json").exists()
    (parent,) = clone.runs("tags.`recipe.sweep` LIKE '%val=%'")
    assert parent.info.status == "FAILED"
    assert {j.info.status for j in children(clone, parent)} == {"FAILED", "FINISHED"}
    untouched(clone)


def test_a_stage_by_hand_equals_the_stage_under_dvc(clone):
    folder = clone.by_hand("split").folder
    for file, content in clone.outputs("split").items():
        assert clone.read(file.replace("runs/split", folder)) == content
    untouched(clone)
