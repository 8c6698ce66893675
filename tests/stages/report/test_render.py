"""The report: verdict first, nothing behind a closed gate, the same bytes, and readable in a browser."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reports import FAKE, OWN, check, closed_checks, fake, on_disk, plain, prediction, rendered, score, words

from recipe import formatting
from recipe.config.compose import STAGES
from recipe.files import fingerprint, read_json, write_json
from recipe.stages.report import checks
from recipe.stages.report.evidence import read_evidence
from recipe.stages.report.render import render_report
from recipe.stages.report.scores import gaps
from recipe.stages.report.shown_metric import ShownMetric

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return fake(tmp_path_factory.mktemp("whole") / "runs")


# ---- what it says ------------------------------------------------------------------------------------------


def test_the_verdict_comes_first(whole):
    page, twin = rendered(whole)
    for text in (words(page[page.index("<main>") :]), plain(twin)):
        assert "Every gate is open: 15 checks hold" in text[:100]
        assert "98.61 %" in text[:300]
        assert "95 % CI 96.79 % to 99.43 %" in text[:300]


def test_a_metric_is_shown_with_its_name_and_unit(tmp_path):
    """Of a regression; a report from before metrics had names shows the loss."""
    rmse = {"name": "rmse", "title": "RMSE", "higher_is_better": False, "percent": False, "unit": "rings"}
    scores = [
        {"system": "constant", "val_rmse": 3.31, "val_loss": 1.0, "train_rmse": 3.3, "train_loss": 1.0},
        {"system": "ensemble", "test_rmse": 2.153, "test_low": 2.05, "test_high": 2.26, "test_loss": 0.42},
    ]
    for metric, shown, interval in (([rmse], "2.153 rings", ", 95 % CI 2.05 rings to 2.26 rings"), ([], "0.42", "")):
        change = {"metric": metric, "scores": scores}
        others = {stage: {"metric": metric, "scores": []} for stage, content in FAKE.items() if "scores" in content}
        page, twin = rendered(fake(tmp_path / shown, **others | {"ensemble": change}))
        title = "RMSE" if metric else "loss"
        for text in (words(page[page.index("<main>") :]), plain(twin)):
            assert f"{title} on the test set{interval}" in text
            assert shown in text
            assert "accuracy" not in re.split(r"\b1\.? prepare", text)[0]
        assert f"{title[0].upper()}{title[1:]} on validation and, once, on test" in words(page).replace(" .", ".")


@pytest.mark.parametrize(("higher", "train", "val"), [(False, 2.0, 2.5), (True, 2.5, 2.0)])
def test_a_gap_is_by_how_much_validation_is_worse(higher, train, val):
    row = {"system": "a", "train_score": train, "val_score": val, "train_loss": 1.0, "val_loss": 1.5}
    stage = SimpleNamespace(name="tune", scores=[row])
    metric = ShownMetric("score", "score", higher_is_better=higher)
    (gap,) = gaps(SimpleNamespace(metric=metric, ran=[stage])).rows
    assert (gap.metric_gap, gap.loss_gap) == ("0.5", "0.5")


def test_every_stage_check_and_figure_is_shown(whole):
    page, twin = rendered(whole)
    for stage, content in FAKE.items():
        key = fingerprint(read_json(whole / stage / "report.json"))
        for text in (words(page), plain(twin)):
            assert key in text
            assert all(c["check"] in text and c["claim"] in text for c in content["checks"])
            assert all(caption in text for caption in content.get("figures", {}).values())
    assert page.count("data:image/png;base64,") == 7  # each picture once
    assert "](baseline/curves.png)" in twin


def test_the_place_of_the_human_is_open_until_measured(whole, tmp_path):
    assert all("not measured yet" in text for text in rendered(whole))
    runs = fake(tmp_path / "runs", baseline={"scores": [{"system": "human", "val_accuracy": 0.981}]})
    assert not any("not measured yet" in text for text in rendered(runs))


def test_notes_and_skips_close_nothing(whole):
    found = read_evidence(whole, OWN)
    assert found.closed is None
    assert [c.name for _, c in found.of("note")] == ["no_near_duplicates", "gain_beats_noise"]
    assert [c.name for _, c in found.of("skip")] == ["every_feature_is_finite", "human_baseline"]


def test_an_undecided_gate_is_shown_like_a_note_with_what_would_decide_it(tmp_path):
    unsure = check("beats_a_blind_model", 0.012, "> 0.03", "undecided", needed="About 340 examples would decide.")
    runs = fake(tmp_path / "runs", baseline={"checks": [unsure]})
    found = read_evidence(runs, OWN)
    assert found.closed is None
    assert found.metrics["undecided"] == 1
    assert "1 undecided" in found.counts
    for text in (words(rendered(runs)[0]), plain(rendered(runs)[1])):
        assert f"Undecided: {unsure['claim']} About 340 examples would decide." in text
        assert "measured 0.012, required > 0.03" in text
        assert "Every gate is open" in text


@pytest.mark.parametrize(("verdict", "value"), [("fail", 0.5514), ("error", "ValueError: no loss (loop.py:12)")])
def test_a_closed_gate_comes_first_and_ends_the_report(tmp_path, verdict, value):
    runs = fake(tmp_path / "runs", baseline=closed_checks(verdict=verdict, value=value))
    page, twin = rendered(runs)
    for text in (words(page[page.index("<main>") :]), plain(twin)):
        start = text[:700]
        assert "Closed at baseline: overfit_one_batch" in start
        assert (
            "measured 0.5514, required < 0.02" if verdict == "fail" else "ValueError: no loss (loop.py:12)"
        ) in start
        assert "Where to look when overfit_one_batch fails" in start
        assert "train_loss_is_low" not in text  # a stale report.json of a later stage lies there
        assert "98.61" not in text
        assert "0.9861" not in text
        assert "Training loss against width." not in text
    states = [s.state for s in read_evidence(runs).stages]
    assert states == ["done"] * 4 + ["closed"] + ["not run"] * 5


def test_the_failing_check_stands_open_with_its_picture(tmp_path):
    page, _ = rendered(fake(tmp_path / "runs", baseline=closed_checks()))
    opened = re.search(r'<details class="check closed" id="baseline-overfit_one_batch" open>.*?</details>', page, re.S)[
        0
    ]
    assert "data:image/png;base64," in opened
    assert 'href="baseline/batch.csv"' in opened


def test_a_waiver_opens_the_gate_and_stays_visible(tmp_path):
    runs = fake(tmp_path / "runs", baseline=closed_checks(waived="labels are noisy by design"))
    for text in rendered(runs):
        assert "1 waived" in text[text.index("Every gate is open") :][:60]
        assert text.count("labels are noisy by design") >= 1
    assert [s.state for s in read_evidence(runs, OWN).stages][4:6] == ["waived", "done"]


def test_a_missing_stage_ends_the_report_and_stale_numbers_are_never_shown(tmp_path):
    runs = fake(tmp_path / "runs", split=None)
    for text in map(plain, rendered(runs)):
        assert "Not finished: 3 of 10 stages have run" in text
        assert "loss_at_init" not in text
        assert "98.61" not in text


def test_nothing_at_all_is_a_report_too(tmp_path):
    assert all("Nothing has run yet" in text for text in rendered(tmp_path / "runs"))


@pytest.mark.parametrize("content", ["", "[]", "{", '{"checks": 3, "metrics": [], "scores": [1], "figures": "x"}'])
def test_a_broken_report_json_breaks_no_report(tmp_path, content):
    runs = fake(tmp_path / "runs")
    (runs / "audit" / "report.json").write_text(content)
    rendered(runs)


def test_a_check_that_says_little_closes(tmp_path):
    runs = fake(tmp_path / "runs", audit={"checks": [{"check": "labels_agree"}]})
    assert read_evidence(runs).closed.name == "audit"


# ---- the page as a file ------------------------------------------------------------------------------------


def test_the_same_evidence_gives_the_same_bytes(tmp_path):
    first, second = (rendered(fake(tmp_path / name / "runs")) for name in ("a", "longer"))
    assert first == second
    assert not any(str(tmp_path) in text for text in first)


def test_the_page_needs_no_network_and_no_script(whole):
    page, _ = rendered(whole)
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", page)
    assert "<script" not in page
    assert "@import" not in page


def test_a_page_among_the_evidence_is_linked_once_above_the_checks(tmp_path):
    checks = [check(name, evidence=["explorer.html"]) for name in ("no_copies", "labels_agree")]
    runs = fake(tmp_path / "runs", audit={"checks": checks})
    page, _ = rendered(runs)
    assert 'href="audit/explorer.html"' not in page  # not there, so no link
    (runs / "audit" / "explorer.html").write_text("<p>examples")
    page, _ = rendered(runs)
    assert page.count('<p class="page"><a href="audit/explorer.html">explorer.html</a></p>') == 1


def test_written_elsewhere_it_links_back(whole, tmp_path):
    render_report(whole, tmp_path, report=OWN)
    link = re.search(r"\]\((\S*curves\.png)\)", (tmp_path / "report.md").read_text())[1]
    assert (tmp_path / link).is_file()


def test_a_report_json_cannot_name_files_outside_its_folder(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret" * 9)
    names = {"../../secret.png": "a", str(tmp_path / "secret.png"): "b", "\0.png": "c", "audit": "d"}
    page, _ = rendered(fake(tmp_path / "runs", audit={"figures": names}))
    assert "Missing from runs/audit" in page
    assert page.count("data:image/png;base64,") == 6  # all but contact.png, which nothing names now
    assert base64.b64encode(b"secret").decode() not in page


HOSTILE = "</style><script>alert('x')</script> \"quoted\" | a pipe\n# a heading `code` [link](http://x) \ud800\x00"


def test_hostile_text_is_shown_as_text(tmp_path):
    bad = check(HOSTILE, HOSTILE, HOSTILE, "fail", claim=HOSTILE, hint=HOSTILE, evidence=[HOSTILE], gate=False)
    changes = {
        "summary": HOSTILE,
        "metrics": {HOSTILE: 1.0},
        "checks": [bad, bad | {"waived": HOSTILE, "gate": True}],
        "predictions": [prediction(*[HOSTILE] * 4)],
        "scores": [{"system": HOSTILE, "val_accuracy": 0.5, "train_accuracy": 0.6}],
        "figures": {HOSTILE: HOSTILE},
    }
    (runs := tmp_path / "runs").mkdir()
    fake(runs)
    (runs / "audit" / "report.json").write_text(
        json.dumps(on_disk(FAKE["audit"] | changes))
    )  # ASCII: keeps the lone surrogate
    page, twin = rendered(runs)
    assert "<script" not in page
    assert "alert('x')" in words(page)
    assert "<script" not in re.sub(r"`[^`\n]*`", "", twin)
    rows = [row for row in twin.splitlines() if row.startswith("|") and "alert" in row]
    assert len(rows) >= 5
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {
        3,
        5,
        6,
        8,
        9,
    }  # as many cells as the table has
    assert not re.search(r"^# a heading", twin, re.M)
    assert not re.search(r"(?<!\\)\[link\](?!`)\(", re.sub(r"`[^`\n]*`", "", twin))


def test_long_text_is_shortened(tmp_path):
    bad = check("long", "v" * 10_000, "b" * 10_000, "error", claim="c" * 10_000, hint="h" * 10_000)
    found = fake(tmp_path / "runs", prepare={"checks": [bad], "summary": "s" * 10_000})
    page, twin = rendered(found)
    assert len(page) < 60_000
    assert len(twin) < 12_000


# ---- the twin ----------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
NUMBER = st.one_of(st.none(), st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False), TEXT)
NAME = st.text(st.characters(codec="utf-8", exclude_characters="%"), max_size=40)  # `%` behind a number reads as one
SHARE = st.floats(0, 1)
CHECK = st.builds(
    check,
    st.from_regex(r"[a-z]{3,9}(_[a-z]{2,9}){1,3}", fullmatch=True),
    NUMBER,
    NAME,
    st.sampled_from(["pass", "pass", "pass", "fail", "error", "skip", "undecided"]),
    st.booleans(),
    claim=TEXT,
    waived=st.one_of(st.just(""), TEXT),
)
CONTENT = st.fixed_dictionaries(
    {
        "summary": TEXT,
        "metrics": st.dictionaries(TEXT, NUMBER, max_size=3),
        "checks": st.lists(CHECK, max_size=4),
        "predictions": st.lists(st.builds(prediction, TEXT, TEXT, NUMBER, TEXT), max_size=2),
        "scores": st.lists(st.builds(score, NAME, st.tuples(SHARE, SHARE), st.tuples(SHARE, SHARE)), max_size=3),
    }
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CONTENT, min_size=1, max_size=3))
def test_the_twin_has_the_same_checks_and_numbers(tmp_path, contents):
    shutil.rmtree(runs := tmp_path / "runs", ignore_errors=True)
    for stage, content in zip(STAGES, contents, strict=False):
        write_json(runs / stage / "report.json", on_disk({"stage": stage} | content))
    page, twin = rendered(runs)
    found = read_evidence(runs)
    page_rows = re.findall(r'<details class="check (\w+)".*?<code>([^<]*)</code>', page, re.S)
    twin_rows = re.findall(r"^\| (?:\*\*)?(\w+)(?:\*\*)? \| (?:gate|note) \| `([^`]*)`", twin, re.M)
    assert page_rows == twin_rows == [(c.state, c.name) for s in found.ran for c in s.checks]
    percents = re.compile(r"\b\d+\.\d+ %")
    assert set(percents.findall(words(page))) == set(percents.findall(plain(twin)))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formatting.number(0.551449), "0.5514"),
        (formatting.number(1797), "1797"),
        (formatting.number(48_213.4), "48,213"),
        (formatting.number(None), ""),
        (formatting.percent(0.964), "96.40 %"),
        (formatting.percent(float("nan")), ""),
        (formatting.metric("val_accuracy", 0.98333), "98.33 %"),
        (formatting.metric("val_accuracy_sd", 0.0042), "0.42 points"),
        (formatting.difference(2.302456, 2.302496), "0"),  # 2.302 and 2.302 on the page
        (formatting.difference(0.0782, 0.12), "0.0418"),
    ],
)
def test_numbers_have_four_significant_digits(shown, expected):
    assert shown == expected


# ---- the stage's own checks --------------------------------------------------------------------------------


def reported(runs):
    return checks.Reported(runs, read_evidence(runs))


def test_a_whole_run_passes_the_reports_own_checks(whole):
    for function in (checks.every_stage_reported, checks.test_was_read_once, checks.every_picture_is_there):
        assert function(reported(whole)).ok


def test_every_stage_reported_notices_a_missing_one_and_a_closed_gate(tmp_path):
    assert checks.every_stage_reported(reported(fake(tmp_path / "a", tune=None))).value == 7
    assert checks.every_stage_reported(reported(fake(tmp_path / "b", baseline=closed_checks()))).value == 4


@pytest.mark.parametrize("change", [{"metrics": {"test_loss": 1.0}}, {"scores": [{"test_accuracy": 0.9}]}])
def test_test_was_read_once_notices_an_earlier_reader(tmp_path, change):
    verdict = checks.test_was_read_once(reported(fake(tmp_path / "runs", tune=change)))
    assert not verdict.ok
    assert verdict.value == "tune, ensemble"


def test_every_picture_is_there_notices_a_lost_one(tmp_path):
    runs = fake(tmp_path / "runs")
    (runs / "tune" / "search.png").unlink()
    (runs / "baseline" / "batch.csv").unlink()
    assert checks.every_picture_is_there(reported(runs)).value == 2


# ---- in a browser ------------------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def browse(page: Path, profile: Path, *options: str) -> str:
    """The page's DOM after it was laid out, as Chromium prints it."""
    command = [
        CHROMIUM,
        *QUIET,
        f"--user-data-dir={profile}",
        *options,
        "--dump-dom",
        page.resolve().as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: apt-get install chromium")
@pytest.mark.parametrize("state", ["open", "closed"])
def test_a_browser_shows_the_verdict_and_nothing_overflows_at_560_pixels(tmp_path, state):
    runs = fake(tmp_path / "runs", baseline=closed_checks() if state == "closed" else {})
    page, _ = rendered(runs)
    # measured inside a frame of 560 px, because headless windows have a larger smallest width
    probe = (
        "<script>addEventListener('load', () => { const e = document.documentElement;"
        "document.title = 'width ' + e.clientWidth + ' needs ' + e.scrollWidth })</script>"
    )
    (tmp_path / "probed.html").write_text(page + probe)
    dom = browse(tmp_path / "probed.html", tmp_path / "profile", "--window-size=560,900")
    assert f"<h1>{read_evidence(runs, OWN).headline}</h1>" in dom
    width, needs = map(int, re.search(r"<title>width (\d+) needs (\d+)", dom).groups())
    assert width <= 560
    assert needs <= width


def test_every_table_of_the_twin_has_as_many_columns_under_its_head(tmp_path):
    """Else a code host shows the lines as text."""
    render_report(ROOT / "runs", tmp_path)
    lines = (tmp_path / "report.md").read_text().splitlines()
    under = [i for i, line in enumerate(lines) if re.match(r"\|-+", line)]
    assert under
    for i in under:
        assert re.fullmatch(r"(\|-+:?)+\|", lines[i])
        assert len(re.findall(r"(?<!\\)\|", lines[i - 1])) == lines[i].count("|")
