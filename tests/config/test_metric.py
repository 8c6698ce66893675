"""`metric` in params.yaml: a word, or a function of a user's own with its facts."""

import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from dvc.utils.hydra import apply_overrides
from omegaconf import OmegaConf

from recipe.config.code_manifest import targets
from recipe.config.compose import compose
from recipe.config.hydra_app import compose_cli
from recipe.config.instantiate import metric
from recipe.config.schema import MetricName
from recipe.errors import RecipeError
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """ask(value) -> the config of the overfit stage with `metric: value` in params.yaml."""
    for folder in ("conf", "pipeline"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)
    params = (ROOT / "params.yaml").read_text()

    def asked(value: str):
        line = next(line for line in params.splitlines() if line.startswith("metric:"))
        (tmp_path / "params.yaml").write_text(params.replace(line, f"metric: {value}"))
        return compose("overfit")

    return asked


def test_a_word_is_passed_on(ask):
    assert metric(ask("auto")) == "auto"
    assert metric(ask("roc_auc")) == "roc_auc"
    assert metric(compose_cli("overfit", ["metric=ece"])) == "ece"


def test_a_function_comes_with_its_facts(ask):
    cfg = ask("{_target_: numpy.ptp, name: spread, higher_is_better: false, unit: m}")
    chosen = metric(cfg)
    assert (chosen.function, chosen.name, chosen.higher_is_better, chosen.unit) == (np.ptp, "spread", False, "m")
    assert metric(ask("{_target_: numpy.ptp}")).name == "ptp"
    assert "numpy.ptp" in targets(OmegaConf.to_container(cfg))  # and so an edit of it reruns the stages


FUNCTION = "{_target_: numpy.ptp, name: spread, higher_is_better: false}"


@pytest.mark.slow
@pytest.mark.parametrize("written", ["auto", FUNCTION])
@pytest.mark.parametrize(("word", "name"), [("ece", "ece"), ("{_target_: numpy.std, name: deviation}", "deviation")])
def test_a_word_and_a_function_replace_each_other_on_the_command_line(ask, written, word, name):
    def name_of(chosen) -> str:
        return chosen if isinstance(chosen, str) else chosen.name

    ask(written)
    assert name_of(metric(compose_cli("overfit", [f"metric={word}"]))) == name
    apply_overrides("params.yaml", [f"metric={word}"])  # as `dvc exp run -S` does
    assert name_of(metric(compose("overfit"))) == name


def test_the_known_words_are_the_metrics_of_all_tasks():
    tasks = Classification(("a", "b")), Multilabel(("a", "b")), Regression(("a",))
    assert set(get_args(MetricName)) == {"auto"}.union(*(task.metrics for task in tasks))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("3", "`metric: 3` is a whole number, it must be text or a mapping"),
        ("acuracy", "`metric: acuracy` must be one of auto, accuracy, average_precision"),
        ("{_target_: numpy.ptp, percent: 3}", "`metric.percent: 3` is a whole number, it must be true or false"),
        ("{_target_: numpy.ptp, names: a}", "`metric` has no key `names`; it has _target_, name, higher_is_better"),
        ("{_target_: numpy.no_such}", "`metric._target_: numpy.no_such` cannot be imported.*no_such"),
        ("{name: cost}", "`metric._target_: nothing` cannot be imported"),
        ("{_target_: numpy.ptp, name: loss}", "`metric.name: loss` names columns"),
    ],
)
def test_a_mistake_is_one_message(ask, value, message):
    with pytest.raises(RecipeError, match=message):
        metric(ask(value))
