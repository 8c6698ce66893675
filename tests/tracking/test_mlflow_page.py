"""MLflow's own pages in a real browser: the stages at a glance, and what each of them consists of."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from browser import CHROMIUM, MISSING, chromium
from clone import environment
from omegaconf import OmegaConf

from recipe.config.compose import STAGES
from recipe.tracking.tracker import Tracker

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason=MISSING)]
LANES = {"baseline": 3, "regularize": 5, "tune": 110}  # more than the 100 runs of a page
METRIC = {"name": "rmse", "higher_is_better": False}
CONTENT = {"metrics": {"val_loss": 0.3}, "checks": [], "findings": ["It was found."], "metric": [METRIC]}


def log_stages() -> str:
    """A run of each stage, with child runs; gives the link that a stage prints."""
    cfg = OmegaConf.create({"runtime": {"mlflow": {"uri": None, "experiment": "recipe"}}, "seed": 0})
    for stage in STAGES:
        tracker = Tracker(cfg, stage, stage, "")
        for n in range(LANES.get(stage, 0)):
            curve = [{"step": step, "val_loss": 1 / (1 + step)} for step in range(3)]
            tracker.lane(f"{stage} lane {n}", {"lr": 0.1}, {"val_loss": n / 10}, curve)
        tracker.finish(CONTENT, "key", [], None, failed=False)
        assert not tracker.broken
    return re.search(r"http\S+", tracker.where)[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """(address of an MLflow server, the printed link there)."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        link = log_stages()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db", "--host", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--workers", "1"], cwd=folder, start_new_session=True,
        env=environment(folder, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            if server.poll() is not None or time.monotonic() > until:
                pytest.skip("mlflow server did not start here")
            time.sleep(0.5)
        yield address, link.replace("http://127.0.0.1:5000", address)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)  # its workers too
        server.wait(30)


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        page.size(1500, 1000)
        yield page


NAMES = "[...document.querySelectorAll('a[href*=\"/runs/\"]')].map(a => a.innerText.trim()).filter(Boolean)"
LINKED = "[...document.querySelectorAll('a')].find(a => a.innerText.trim() === '{}')?.href"


def shown(tab, address: str, pattern: str) -> str:
    """The text of a page once it matches a regular expression."""
    tab.open(address, ready=f"/{pattern}/.test(document.body?.innerText)")
    return tab.run("document.body.innerText")


def table(tab, address: str, runs: list[str]) -> str:
    """The text of a run table that lists exactly these runs, in any order."""
    text = shown(tab, address, f"{len(runs)} matching run")
    tab.wait(f"{NAMES}.length >= {len(runs)}")  # rows follow their count
    assert sorted(tab.run(NAMES)) == sorted(runs)
    return text


def test_the_printed_link_shows_every_stage_and_asks_nothing(site, tab):
    text = table(tab, site[1], STAGES)
    assert "Load more" not in text
    assert "shared view" not in text
    assert "Override" not in text


def test_a_stages_page_leads_to_its_child_runs_and_back(site, tab):
    table(tab, site[1], STAGES)
    shown(tab, tab.run(LINKED.format("baseline")), "child runs")
    children, charts = (tab.run(LINKED.format(word)) for word in ("table", "charts"))
    lanes = [f"baseline lane {n}" for n in range(3)]
    assert "Load more" not in table(tab, children, lanes)
    child = tab.run(LINKED.format(lanes[1]))
    assert lanes[2] in shown(tab, charts, r"curve\/val_loss")
    shown(tab, child, "Parent run")
    tab.wait(LINKED.format("baseline"))
    assert "It was found." in shown(tab, tab.run(LINKED.format("baseline")), "child runs")


def test_the_charts_compare_the_stages(site, tab):
    text = shown(tab, f"{site[1]}&compareRunsMode=CHART", "val_loss")
    tab.wait(f"{NAMES}.length >= {len(STAGES)}")
    assert "No charts" not in text.partition("System metrics")[0]
