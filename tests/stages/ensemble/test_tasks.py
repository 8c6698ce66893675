"""The ensemble stage of every task: trained, chosen, scored, saved, loaded, and asked about new inputs."""

import csv
import dataclasses
import math

import numpy as np
import pandas
import pytest
import torch
from clone import ROOT
from made_tasks import TASKS, of_task
from omegaconf import OmegaConf
from pages import payload
from searching import SilentRun

from recipe.config.compose import compose
from recipe.experiment import build
from recipe.experiment.saved import save_baselines
from recipe.files import read_csv, read_table, read_yaml
from recipe.metrics.conformal import SHARE
from recipe.serve import predict, system
from recipe.serve.inputs import read_inputs
from recipe.stages.baseline.baselines import Baseline
from recipe.stages.ensemble import captions, distillation, figures, member_weights, mispredictions, results
from recipe.stages.ensemble import checks as claims
from recipe.stages.ensemble.coverage import coverage
from recipe.stages.ensemble.extended_training import extend_training
from recipe.stages.ensemble.final_evaluation import Candidates
from recipe.stages.ensemble.final_system import FinalSystem
from recipe.stages.ensemble.members import stack, train_pool
from recipe.verdict import ERROR, FAIL, PASS, SKIP, checks_of
from recipe.verdict import run as run_checks

pytestmark = pytest.mark.slow
MLP = {"_target_": "recipe.models.plain.mlp", "width": 32, "depth": 1, "dropout": 0.0}
ACCEPTED, OTHER = {"optimizer.lr": 0.02}, {"optimizer.lr": 0.005}
TEMPERATURE_CHECKS = {
    "temperature_is_fitted", "temperature_is_moderate", "temperature_helps_where_it_was_not_fitted",
}  # fmt: skip


@dataclasses.dataclass
class Ran:
    kind: str
    made: object
    run: SilentRun
    cfg: object
    pool: list
    results: results.Results
    final: FinalSystem

    @property
    def evidence(self):
        return results.evidence(
            self.made.data, self.made.unseen, self.results, self.final.predictions(self.made.unseen)
        )


@pytest.fixture(scope="module", params=list(TASKS))
def ran(request, tmp_path_factory) -> Ran:
    """All that pipeline/ensemble.py does."""
    made = of_task(tmp_path_factory.mktemp(request.param), request.param)
    cfg, run = config(), SilentRun(made.root / "out")
    run.out.mkdir()
    data, test = made.data, made.unseen
    (untuned,) = build.train(
        cfg, data, [build.lane(cfg, data, 0, {"optimizer.lr": 1e-4})], SilentRun(run.out), "untuned"
    )
    save_baselines(run.out / "baselines", [Baseline("mlp", [untuned], [], {"model": MLP, "train.input_size": None})])
    pool = train_pool(cfg, data, ACCEPTED, [OTHER], run)
    weights = member_weights.choose(data.task, pool, data.actual_held_out, run.out / "choice.yaml")
    members = [(m.changes, run.out / m.files[0], n) for m, n in zip(pool, weights.counts, strict=True) if n]
    system.save(
        run.out / "system",
        cfg,
        data,
        members,
        weights.calibration,
        weights.half_widths,
        made.root / "runs/prepare",
        thresholds=weights.thresholds,
    )
    student = distillation.distil(cfg, data, pool, weights, run)
    candidates = Candidates(
        pool, weights, extend_training(cfg, data, pool[0], run), student, run.out, run.out / "baselines"
    )
    tested = results.evaluate(cfg, data, test, candidates)
    results.write_tables(run.out, tested)
    figures.draw(run.out, tested, data, test)
    final = FinalSystem(system.load(run.out / "system"), made.store)
    return Ran(request.param, made, run, cfg, pool, tested, final)


def config():
    small = {"members": 3, "top": 1, "train": {"epochs": 10, "eval_every": 5}, "longer": 2}
    return OmegaConf.merge(compose("ensemble", ROOT), {"model": None}, {"model": MLP}, small)


# ---- scored ------------------------------------------------------------------------------------------------------


def test_a_healthy_ensemble_closes_no_gate_and_what_does_not_apply_is_skipped(ran):
    verdicts = {v.check: v for v in run_checks(checks_of(claims), ran.evidence, where="a test")}
    assert not [v.check for v in verdicts.values() if v.closes]
    assert ERROR not in {v.verdict for v in verdicts.values()}
    skipped = {name for name, v in verdicts.items() if v.verdict == SKIP}
    quantities = ran.kind.startswith("quantit")
    assert skipped == (TEMPERATURE_CHECKS if quantities else {"intervals_cover"})


def test_every_figure_and_table_is_there_and_every_sentence_ends(ran):
    captions_of = captions.figure_captions(ran.results)
    assert all((ran.run.out / name).stat().st_size > 1000 for name in captions_of)
    assert all(captions_of.values())
    for text in [captions.summary(ran.results), *captions.findings(ran.results)]:
        assert text.endswith(".")
        assert "nan" not in text
    assert ran.results.metric.title in captions.summary(ran.results)
    sizes = read_csv(ran.run.out / "sizes.csv")
    assert {"loss", ran.results.metric.name} <= set(sizes[0])
    scored = [row for row in results.scores(ran.results) if "test_loss" in row]
    assert all(math.isfinite(row[f"test_{ran.results.metric.name}"]) for row in scored)
    rows = read_csv(ran.run.out / "per_target.csv")
    assert [next(iter(row.values())) for row in rows] == list(ran.results.task.names)
    for share in ran.results.answers.shares:
        assert all(0 <= float(row[share]) <= 1 for row in rows)
    linear = "ridge regression" if ran.kind.startswith("quantit") else "logistic regression"
    assert [row["system"] for row in scored][:3] == ["constant", linear, "gradient boosting"]


def test_metrics_have_loss_and_metric_of_both_splits_with_intervals(ran):
    content, metric = results.metrics(ran.results), ran.results.metric
    for split in ("val", "test"):
        low, value, high = (content[f"{split}_{metric.name}{end}"] for end in ("_low", "", "_high"))
        assert low < value < high
        assert content[f"{split}_loss"] > 0
    task, final = ran.results.task, ran.results.final
    assert content["test_loss"] == task.losses(final.p_test, ran.results.actual_test).mean().item()
    assert (
        final.score(task, metric, ran.results.actual_val, ran.results.actual_test)["test_loss"]
        == (content["test_loss"])
    )
    assert all(isinstance(v, int | float) for v in content.values())


def test_the_table_of_predictions_holds_them_exactly(ran):
    rows, answers = read_table(ran.run.out / "predictions.parquet"), ran.results.answers
    p = torch.tensor([[row[c] for c in answers.p_columns] for row in rows], dtype=torch.float64)
    assert p.equal(ran.results.final.p_test)
    assert [row["id"] for row in rows] == ran.made.unseen.ids
    losses = [row["loss"] for row in rows]
    assert losses == ran.results.task.losses(p, ran.results.actual_test).tolist()
    for name, values in answers.targets(ran.results.actual_test).items():
        assert [row[name] for row in rows] == values


def test_the_choice_knows_val_alone(ran):
    task, p = ran.made.data.task, stack(ran.pool)
    actual = task.actual(ran.made.data.val.y)
    again = member_weights.content(member_weights.choose_weights(task, p, actual, 3), ran.pool)
    assert again == read_yaml(ran.run.out / "choice.yaml")
    assert again != member_weights.content(member_weights.choose_weights(task, p, actual.roll(1, 0), 3), ran.pool)


# ---- intervals ---------------------------------------------------------------------------------------------------


def test_intervals_that_are_too_narrow_are_noticed(ran):
    if not ran.results.coverage:
        pytest.skip("intervals are of quantities")
    task, p = ran.results.task, ran.results.final.p_test
    narrow = tuple(0.5 * width for width in ran.results.weights.half_widths)
    bad = coverage(task.names, p, ran.results.actual_test, narrow, ran.evidence.val_count)
    verdict = claims.intervals_cover(dataclasses.replace(ran.evidence, coverage=bad))
    assert verdict.verdict == FAIL
    assert verdict.value < SHARE - 0.1
    assert claims.intervals_cover(ran.evidence).verdict == PASS


# ---- distilled ---------------------------------------------------------------------------------------------------


def test_the_student_learns_what_the_teacher_says(ran, tmp_path):
    """A teacher whose outputs are the opposite of a member's: so are its student's, and no target told it."""
    data, task = ran.made.data, ran.made.data.task
    net = build.model(ran.cfg, data, seed=0).eval()
    net.load_state_dict(ran.pool[0].trained[0].last)
    with torch.no_grad():
        opposite, expected = (task.predict(-net(split.x)) for split in (data.train, data.val))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distillation, "saved_predictions", lambda *args: opposite)
        student = distillation.distil(config(), data, ran.pool, ran.results.weights, SilentRun(tmp_path))
    near, far = ((student.p_val - other).abs().mean() for other in (expected, ran.pool[0].p_val))
    assert near < far / 2


# ---- saved and loaded --------------------------------------------------------------------------------------------


def test_the_saved_system_predicts_the_same(ran):
    assert ran.final.predictions(ran.made.unseen).allclose(ran.results.final.p_test, rtol=0, atol=1e-6)
    assert ran.final.system.task == ran.made.data.task
    assert ran.final.system.half_widths == ran.results.weights.half_widths
    assert ran.final.system.thresholds == ran.results.weights.thresholds


def test_recipe_predict_gives_the_columns_of_the_task(ran, tmp_path):
    expected = {
        "classes": ["predicted", "confidence", "p_small", "p_large", "p_odd"],
        "labels": ["predicted", "p_tall", "p_heavy", "p_deep"],
        "quantity": ["predicted_age", "low_age", "high_age"],
        "quantities": ["predicted_age", "low_age", "high_age", "predicted_price", "low_price", "high_price"],
    }[ran.kind]
    path = ran.made.root / "rows.csv"
    loaded = ran.final.system
    for file in (tmp_path / "out.csv", tmp_path / "out.parquet"):
        predictions = predict.predict_inputs(loaded, read_inputs(path, loaded.form, 1))
        counts = predict.write_predictions(predictions, loaded.answers, file)
        assert counts.failed == 0
    with open(tmp_path / "out.csv") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", *expected, "unlike", "problem"]
    p = loaded.predict(ran.made.store.inputs).numpy()
    held = np.array([[float(row[c]) for c in loaded.answers.p_columns] for row in rows])
    assert held == pytest.approx(p, abs=1e-6)
    if ran.results.coverage:
        width = loaded.half_widths[0]
        assert [float(r["high_age"]) - float(r["predicted_age"]) for r in rows] == pytest.approx([width] * len(rows))
    assert all(loaded.answers.lines(torch.tensor(row)) for row in p[:3])
    frame = predict.prediction_frame(loaded, pandas.read_csv(path))
    assert list(frame.columns) == [*expected, "unlike", "problem"]


# ---- mispredictions ----------------------------------------------------------------------------------------------


def test_the_page_of_mispredictions_and_the_proposals(ran, tmp_path):
    run = SilentRun(tmp_path)
    run.cfg = OmegaConf.create({"data": {"_target_": "somewhere.Set"}, "seed": 0})
    sentence = mispredictions.write(run, ran.final, ran.made.data, ran.made.unseen)
    assert sentence.endswith(".")
    sent = payload((tmp_path / "mispredictions.html").read_text())
    names = [column["name"] for column in sent["columns"]]
    assert {"id", "label", "predicted", "answer", "wrong", "loss", "agreement", "split", "x_width"} <= set(names)
    own = {
        "classes": {"confidence", "p_label"},
        "labels": {"not given", "not predicted", "p_label"},
        "quantity": {"true value", "predicted value", "residual"},
        "quantities": {"true value of age", "residual of price"},
    }[ran.kind]
    assert own <= set(names)
    assert (sent["roles"]["label"] == "label") == (not ran.results.coverage)
    assert sent["roles"]["order"] == "loss"


def test_a_planted_wrong_target_is_proposed_in_the_form_of_decisions(ran):
    data, task = ran.made.data, ran.made.data.task
    y = data.val.y.clone()
    wrong = {
        "classes": lambda: (y[0] + 1) % 3, "labels": lambda: 1 - y[0],
        "quantity": lambda: y[0] + 5, "quantities": lambda: y[0] + 5,
    }[ran.kind]()  # fmt: skip
    certain = mispredictions.predict_split(ran.final.system, "val", data.val, data)
    y[0] = wrong
    found = dataclasses.replace(certain, actual=task.actual(y))
    found = dataclasses.replace(found, loss=task.losses(found.p, found.actual).numpy())
    lines = {line["id"]: line for line in mispredictions.proposals([found])}
    if ran.kind in ("classes", "labels") and data.val.ids[0] not in lines:
        pytest.skip("the ensemble is not sure of this example")
    line = lines[data.val.ids[0]]
    assert line["action"] == "relabel"
    assert line["reason"].startswith("val: the ensemble predicts ")
    if ran.results.coverage:
        assert [float(v) for v in line["label"].split(";")] == pytest.approx(found.p[0].tolist(), rel=1e-3)
    else:
        assert set(filter(None, line["label"].split("; "))) <= set(task.names)
