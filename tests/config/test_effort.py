"""`effort` in one word: the numbers of every stage, each of which can still be set."""

import re
import shutil
from pathlib import Path

import pytest

from recipe.config.compose import STAGES, compose
from recipe.config.hydra_app import compose_cli
from recipe.config.instantiate import plain_all
from recipe.config.type_check import check_types
from recipe.errors import RecipeError

ROOT = Path(__file__).resolve().parents[2]


def project(folder: Path) -> Path:
    """The folder, with the project's conf/, scripts and params.yaml."""
    for name in ("conf", "pipeline"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "dvc.yaml").write_text("stages: {}\n")
    return folder


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Such a folder, as the working directory."""
    monkeypatch.chdir(project(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def efforts(tmp_path_factory):
    """{effort: {stage: config}}, composed once: all of it takes seconds."""
    folder = project(tmp_path_factory.mktemp("effort"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return {word: with_effort(folder, word) for word in ("quick", "normal", "thorough")}


def with_effort(house: Path, word: str, more: str = "") -> dict[str, dict]:
    text = (ROOT / "params.yaml").read_text()
    (house / "params.yaml").write_text(re.sub(r"^effort: \w+", f"effort: {word}", text, flags=re.M) + more)
    return {stage: plain_all(compose(stage)) for stage in STAGES}


def test_more_effort_is_more_of_everything(efforts):
    quick, normal, thorough = efforts.values()
    for stage, key in [
        ("baseline", "seeds"), ("regularize", "seeds"), ("tune", "trials"), ("tune", "trial_seeds"), ("tune", "seeds"),
        ("ensemble", "members"), ("ensemble", "top"), ("ensemble", "longer"),
    ]:  # fmt: skip
        assert quick[stage][key] < normal[stage][key] < thorough[stage][key], (stage, key)
    assert not normal["regularize"]["further"]
    assert thorough["regularize"]["further"]


def test_effort_changes_no_stage_that_takes_no_number_from_it(efforts):
    quick, normal = efforts["quick"], efforts["normal"]
    changed = [stage for stage in STAGES if quick[stage] != normal[stage]]
    assert changed == ["baseline", "overfit", "regularize", "tune", "ensemble"]


def test_gates_are_the_same_at_every_effort(efforts):
    quick, thorough = efforts["quick"], efforts["thorough"]
    for stage in STAGES:
        assert quick[stage]["checks"] == thorough[stage]["checks"]
        assert quick[stage]["waive"] == {}


def test_a_number_of_params_yaml_wins(house):
    text = (ROOT / "params.yaml").read_text().replace("trials: from_conf", "trials: 5")
    (house / "params.yaml").write_text(text.replace("effort: normal", "effort: thorough"))
    assert (compose("tune").trials, compose("tune").repeats) == (5, 3)


def test_effort_is_a_word_of_the_command_line_too(house):
    cfg = compose_cli("tune", ["effort=quick", "repeats=2"])
    assert (cfg.trials, cfg.repeats) == (6, 2)


def test_another_word_is_refused_with_those_there_are(house):
    with pytest.raises(RecipeError, match=r"conf/effort/ has no `slow`; known: normal, quick, thorough"):
        with_effort(house, "slow")


def test_a_config_of_resolved_is_complete_without_the_word(house):
    cfg = compose("tune")
    del cfg.effort
    check_types(cfg)
    del cfg.seeds
    with pytest.raises(RecipeError, match="`seeds` is missing"):
        check_types(cfg)
