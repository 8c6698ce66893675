"""The report: verdict first, nothing behind a closed gate, the same bytes, and readable in a browser."""

import base64
import functools
import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recipe import formatting
from recipe.config.compose import STAGES
from recipe.files import fingerprint, read_json, write_json
from recipe.plots.style import drawing
from recipe.stages.report import checks
from recipe.stages.report.evidence import read_evidence
from recipe.stages.report.render import render_report

# ---- a fake runs/ ------------------------------------------------------------------------------------------


def check(name, value=0.0, bound="= 0", verdict="pass", gate=True, **more):
    return {
        "check": name,
        "claim": f"The claim of {name} holds for every healthy set-up.",
        "source": "Recipe 2, the section it comes from",
        "gate": gate,
        "verdict": verdict,
        "value": value,
        "bound": bound,
        "hint": f"Where to look when {name} fails: the data, then the loss, then the optimizer.",
        "evidence": [],
    } | more


def score(system, train, val, seeds=3, **more):
    """(accuracy, loss) on train and on validation."""
    sides = {"train_accuracy": train[0], "train_loss": train[1], "val_accuracy": val[0], "val_loss": val[1]}
    return {"system": system, "seeds": seeds, **sides, **more}


def prediction(change, expected, measured, outcome):
    return {"change": change, "expected": expected, "measured": measured, "outcome": outcome}


FAKE = {
    "prepare": {
        "summary": "1,797 examples of 10 classes, 8 x 8 grey pixels.",
        "metrics": {"examples": 1797, "classes": 10},
        "checks": [check("every_input_reads"), check("every_label_is_known")],
    },
    "audit": {
        "summary": "No duplicate contradicts another; 14 outliers are worth a look.",
        "metrics": {"near_duplicates": 6, "outliers": 14, "smallest_class": 174},
        "checks": [
            check("labels_agree", 0, "= 0"),
            check("classes_are_balanced", 1.052, "< 3", gate=False),
            check("no_near_duplicates", 6, "= 0", verdict="fail", gate=False, evidence=["near.png"]),
        ],
        "figures": {"contact.png": "The first 40 of each class.", "near.png": "Six pairs closer than 0.9."},
    },
    "split": {
        "summary": "1,077 train, 360 validation and 360 test examples.",
        "metrics": {"train": 1077, "val": 360, "test": 360},
        "checks": [check("no_group_in_two_splits"), check("class_shares_agree", 0.0061, "< 0.02")],
    },
    "baseline": {
        "summary": "The small conv net reaches 95.83 % on validation, the constant 10.28 %.",
        "metrics": {"val_accuracy": 0.9583, "val_loss": 0.1432, "loss_at_init": 2.3031},
        "checks": [
            check("loss_at_init", 2.3031, "2.303 ± 0.05", evidence=["curves.png"]),
            check("overfit_one_batch", 0.0041, "< 0.02", evidence=["batch.png", "batch.csv"]),
            check("blind_model_is_worse", 2.2991, "> 0.2864"),
            check("human_baseline", None, "not measured", verdict="skip", gate=False),
        ],
        "predictions": [
            prediction("constant -> linear", "val_loss falls", "2.303 -> 0.2211", "confirmed"),
            prediction("linear -> convnet", "val_loss falls", "0.2211 -> 0.1432", "confirmed"),
        ],
        "scores": [
            score("constant", (0.1021, 2.3025), (0.1028, 2.3026), 1),
            score("linear", (0.9721, 0.1409), (0.9417, 0.2211), val_accuracy_sd=0.0042),
            score("convnet", (0.9879, 0.0518), (0.9583, 0.1432), val_accuracy_sd=0.0051),
        ],
        "figures": {"curves.png": "Loss of the three systems.", "batch.png": "A batch, just before the net."},
    },
    "overfit": {
        "summary": "32 channels learn the training set by heart.",
        "metrics": {"train_loss": 0.00093, "val_accuracy": 0.9722},
        "checks": [check("train_loss_is_low", 0.00093, "< 0.01"), check("capacity_helps", 0.0031, "> 0")],
        "predictions": [prediction("width 16 -> 32", "train_loss falls", "0.0052 -> 0.0009", "confirmed")],
        "scores": [score("convnet 32", (1.0, 0.00093), (0.9722, 0.1204), val_accuracy_sd=0.003)],
        "figures": {"ladder.png": "Training loss against width."},
    },
    "regularize": {
        "summary": "Shifts and weight decay are accepted, dropout is refused.",
        "metrics": {"val_accuracy": 0.9806},
        "checks": [check("still_beats_baseline", 0.0223, "> 0")],
        "predictions": [
            prediction("augment: shift", "val_loss falls by 0.02", "0.0471 ± 0.008 lower", "confirmed"),
            prediction("dropout 0 -> 0.3", "val_loss falls", "0.0007 ± 0.006 higher", "refuted"),
        ],
        "scores": [score("convnet 32, shifts", (0.9991, 0.0061), (0.9806, 0.0733), val_accuracy_sd=0.0028)],
    },
    "tune": {
        "summary": "TPE and random search end within seed noise of each other.",
        "metrics": {"val_accuracy": 0.9833, "trials": 24},
        "checks": [
            check("rerun_gives_the_same", 0.0, "= 0"),
            check("gain_beats_noise", 0.0027, "> 0.0056", verdict="fail", gate=False),
        ],
        "scores": [score("best trial", (0.9998, 0.0042), (0.9833, 0.0668), 1)],
        "figures": {"search.png": "Best value so far of both samplers, and what mattered."},
    },
    "ensemble": {
        "summary": "Six members, 98.61 % on test.",
        "metrics": {"test_accuracy": 0.9861, "test_loss": 0.0512},
        "checks": [check("saved_equals_fresh", 0.0, "= 0")],
        "scores": [
            score("ensemble of 6", (1.0, 0.0038), (0.9861, 0.0561), 6)
            | {"test_accuracy": 0.9861, "test_low": 0.9679, "test_high": 0.9943, "test_loss": 0.0512}
        ],
        "figures": {"calibration.png": "Confidence against accuracy."},
    },
}  # fmt: skip
OWN = {
    "stage": "report",
    "summary": "",
    "metrics": {"checks": 20},
    "checks": [check("every_stage_reported", 8, "= 8")],
}


def on_disk(content: dict) -> dict:
    """As report.Report writes it: figures, findings and metrics as lists."""
    figures = [{"file": file, "caption": caption} for file, caption in content.get("figures", {}).items()]
    rest = {k: v for k, v in content.items() if k not in ("summary", "figures")}
    rest |= {"metrics": [content.get("metrics", {})], "figures": figures}
    return rest | {"findings": [content.get("summary", "")]}


def fake(runs: Path, **changes) -> Path:
    """A runs/ with every stage's report.json and pictures.

    changes: stage=None leaves a stage out, stage={...} updates the fields of its report.json.
    """
    for stage, content in FAKE.items():
        if (change := changes.get(stage, {})) is None:
            continue
        content = {
            "stage": stage,
            "metrics": {},
            "checks": [],
            "predictions": [],
            "scores": [],
            "figures": {},
        } | content
        write_json(runs / stage / "report.json", on_disk(content | change))
        for file in content["figures"]:
            (runs / stage / file).write_bytes(picture(file))
        if stage == "baseline":
            (runs / stage / "batch.csv").write_text("step,loss\n1,2.3\n")
    return runs


@functools.cache
def picture(file: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with drawing(Path(folder, file), 6.4, 2.4 if file == "contact.png" else 3.4) as (_, axes):
            axes.plot([0, 1, 2, 3], [2.3, 0.9, 0.4, 0.2], label="train")
            axes.plot([0, 1, 2, 3], [2.3, 1.0, 0.5, 0.4], label="validation")
            axes.set_title(file.removesuffix(".png"))
            axes.legend()
        return Path(folder, file).read_bytes()


def closed_checks(**more):
    bad = check("overfit_one_batch", 0.5514, "< 0.02", "fail", evidence=["batch.png", "batch.csv"]) | more
    return {"checks": [FAKE["baseline"]["checks"][0], bad, *FAKE["baseline"]["checks"][2:]]}


def rendered(runs: Path, own=OWN) -> tuple[str, str]:
    render_report(runs, report=own)
    return (runs / "report.html").read_text(), (runs / "report.md").read_text()


def words(page: str) -> str:
    """The text of an HTML page, in reading order."""
    page = re.sub(r"<(style|svg)\b.*?</\1>", " ", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def plain(markdown: str) -> str:
    """The text of the Markdown twin."""
    return " ".join(html.unescape(re.sub(r"\\(.)", r"\1", markdown)).replace("`", " ").split())


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
    assert [c.name for _, c in found.of("skip")] == ["human_baseline"]


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
    assert states == ["done"] * 3 + ["closed"] + ["not run"] * 5


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
    assert [s.state for s in read_evidence(runs, OWN).stages][3:5] == ["waived", "done"]


def test_a_missing_stage_ends_the_report_and_stale_numbers_are_never_shown(tmp_path):
    runs = fake(tmp_path / "runs", split=None)
    for text in map(plain, rendered(runs)):
        assert "Not finished: 2 of 9 stages have run" in text
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
    TEXT,
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
    assert checks.every_stage_reported(reported(fake(tmp_path / "a", tune=None))).value == 6
    assert checks.every_stage_reported(reported(fake(tmp_path / "b", baseline=closed_checks()))).value == 3


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
