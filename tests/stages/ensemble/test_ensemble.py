"""The ensemble stage on real digits with a net that trains in a moment; every check, healthy and with a planted bug."""

import dataclasses

import pytest
import torch
from clone import ROOT
from healthy import digits
from made_data import DIGITS
from omegaconf import OmegaConf
from searching import SilentRun
from torch.nn import functional as F

from recipe.config.compose import compose
from recipe.data.batches import Data, Split
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.experiment.saved import save_baselines
from recipe.files import read_csv, read_table, read_yaml, write_table, write_yaml
from recipe.metrics.calibration import tempered
from recipe.metrics.classification import ACCURACY
from recipe.metrics.conformal import half_widths
from recipe.metrics.scores import fall, quality, weighted
from recipe.stages.baseline.baselines import Baseline
from recipe.stages.ensemble import captions, distillation, figures, final_evaluation, member_weights, results
from recipe.stages.ensemble import checks as claims
from recipe.stages.ensemble.calibration_effect import calibration_effect
from recipe.stages.ensemble.coverage import coverage
from recipe.stages.ensemble.extended_training import ARMS, extend_training
from recipe.stages.ensemble.final_evaluation import Candidates
from recipe.stages.ensemble.members import BEST, configurations, saved_predictions, stack, train_pool
from recipe.tasks.class_answers import ClassAnswers
from recipe.tasks.classification import Classification
from recipe.verdict import ERROR, FAIL, PASS, SKIP, UNDECIDED, checks_of
from recipe.verdict import run as run_checks

X, Y = digits()
NAMES = [f"digit {i}" for i in range(len(Y))]


def part(first: int, last: int) -> Split:
    return Split(X[first:last], Y[first:last], NAMES[first:last])


DATA = Data(part(0, 300), part(300, 500), DIGITS, ACCURACY, torch.zeros(1, 1, 1), torch.ones(1, 1, 1), "")
TEST = part(500, 700)
LINEAR = {"_target_": "recipe.models.plain.linear"}
ACCEPTED = {"optimizer.lr": 0.01}
FINISHED = [ACCEPTED, {"optimizer.lr": 2e-3}, {"optimizer.lr": 1e-3}]  # the best one itself first


def config(**more):
    small = {"members": 3, "top": 2, "train": {"epochs": 8.55, "eval_every": 4.27}, "longer": 2, **more}
    cfg = compose("ensemble", ROOT)
    return OmegaConf.merge(cfg, {"model": None}, {"model": LINEAR}, small)


@dataclasses.dataclass
class Ran:
    cfg: object
    run: SilentRun
    pool: list
    weights: member_weights.MemberWeights
    results: results.Results

    def evidence(self):
        return results.evidence(DATA, TEST, self.results, reloaded(self, TEST))


def reloaded(ran, split):
    """(N, K): the probabilities of the final system, from choice.yaml and the weights that it names alone."""
    choice = read_yaml(ran.run.out / "choice.yaml")
    members = choice["members"]
    p = torch.stack(
        [saved_predictions(ran.cfg, DATA, m["changes"], ran.run.out / m["weights"], split) for m in members]
    )
    return tempered(weighted(p, [m["times"] for m in members]), choice["calibration"]["temperature"])


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Ran:
    """All that pipeline/ensemble.py does."""
    cfg, run = config(), SilentRun(tmp_path_factory.mktemp("ensemble"))
    (untuned,) = build.train(
        cfg, DATA, [build.lane(cfg, DATA, 0, {"optimizer.lr": 1e-4})], SilentRun(run.out), "untuned"
    )
    floor = Baseline("linear", [untuned], [], {"model": LINEAR, "train.input_size": None})
    save_baselines(run.out / "baselines", [Baseline("constant", [], [], {}), floor])
    pool = train_pool(cfg, DATA, ACCEPTED, FINISHED, run)
    weights = member_weights.choose(DIGITS, pool, DATA.actual_held_out, run.out / "choice.yaml")
    extended = extend_training(cfg, DATA, pool[0], run)
    student = distillation.distil(cfg, DATA, pool, weights, run)
    candidates = Candidates(pool, weights, extended, student, run.out, run.out / "baselines")
    tested = results.evaluate(cfg, DATA, TEST, candidates)
    results.write_tables(run.out, tested)
    figures.draw(run.out, tested, DATA, TEST)
    return Ran(cfg, run, pool, weights, tested)


# ---- the pool ------------------------------------------------------------------------------------------------


def test_other_configurations_are_the_first_that_differ():
    assert configurations(ACCEPTED, FINISHED, 5) == {BEST: ACCEPTED, "trial 1": FINISHED[1], "trial 2": FINISHED[2]}
    assert list(configurations(ACCEPTED, FINISHED, 1)) == [BEST, "trial 1"]
    assert list(configurations(ACCEPTED, FINISHED, 0)) == [BEST]


@pytest.mark.slow
def test_the_pool_has_every_seed_and_configuration_once(ran):
    assert [(m.arm, m.seed) for m in ran.pool] == [
        (BEST, 50), (BEST, 51), (BEST, 52), ("trial 1", 53), ("trial 2", 54),
    ]  # fmt: skip
    assert len({m.p_val.numpy().tobytes() for m in ran.pool}) == 5
    for m in ran.pool:
        assert saved_predictions(ran.cfg, DATA, m.changes, ran.run.out / m.files[0], DATA.val).equal(m.p_val)
        assert quality(m.p_val, DATA.val.y).nll == pytest.approx(m.rows()[0]["val_loss"], abs=1e-5)
    assert ran.run.messages[0] == "members: 5 lanes together"  # one call, though rates differ


def test_a_lost_training_is_left_out(tmp_path, monkeypatch):
    run = SilentRun(tmp_path)
    pool = train_pool(config(), DATA, ACCEPTED, [{"optimizer.lr": float("inf")}], run)
    assert [m.arm for m in pool] == [BEST] * 3
    assert "trial 1, seed 53: left out, the training loss is nan by step 40" in run.messages
    with pytest.raises(RecipeError, match="an ensemble needs two"):
        train_pool(config(), DATA, {"optimizer.lr": float("inf")}, [], SilentRun(tmp_path))


# ---- the choice ----------------------------------------------------------------------------------------------


def test_what_is_written_is_all_that_the_system_needs(ran):
    written = read_yaml(ran.run.out / "choice.yaml")
    assert written == member_weights.content(ran.weights, ran.pool)
    assert "&" not in (ran.run.out / "choice.yaml").read_text()  # plain YAML, no references
    assert [m["times"] for m in written["members"]] == [n for n in ran.weights.counts if n]
    on_val = reloaded(ran, DATA.val)
    assert on_val.allclose(ran.weights.predictions(stack(ran.pool)), rtol=0, atol=1e-12)
    assert on_val.allclose(ran.results.final.p_val, rtol=0, atol=1e-12)


def test_the_choice_knows_val_alone(ran):
    """The same choice from val's probabilities; another with other labels there."""
    p, y = stack(ran.pool), DATA.val.y
    assert member_weights.content(member_weights.choose_weights(DIGITS, p, y, 3), ran.pool) == member_weights.content(
        ran.weights, ran.pool
    )
    other = member_weights.content(member_weights.choose_weights(DIGITS, p, (y + 1) % 10, 3), ran.pool)
    assert other["calibration"] != read_yaml(ran.run.out / "choice.yaml")["calibration"]


# ---- longer, distilled ---------------------------------------------------------------------------------------


def test_left_training_the_constant_arm_repeats_the_member_first(ran):
    extended, member = ran.results.extended, ran.pool[0]
    constant, cooled = extended.trained.values()
    for row in member.trained[0].curve:
        same = next(r for r in constant.curve if r["step"] == row["step"])
        assert same == pytest.approx(row, abs=1e-5)
    assert constant.curve[-1]["step"] == cooled.curve[-1]["step"] == 160
    before = (1 - ARMS["with a cooldown"]["share"]) * 160
    for a, b in zip(constant.curve, cooled.curve, strict=True):
        assert (a == b) == (a["step"] <= before)
    assert extended.gains["constant rate"][0] == pytest.approx(
        member.trained[0].curve[-1]["val_loss"] - constant.curve[-1]["val_loss"], abs=1e-5
    )
    assert len(read_csv(ran.run.out / "longer.csv")) == len(constant.curve) + len(cooled.curve)
    assert "for 17.1 instead of 8.55 passes" in extended.sentence()


def test_both_trainings_lost_is_no_gain(ran):
    lost = dataclasses.replace(ran.results.extended, gains={})
    assert lost.prediction()["outcome"] == "refuted"
    assert "both trainings were lost" in lost.sentence()


def test_the_student_learns_what_the_teacher_says(tmp_path, ran):
    """A teacher that takes every digit for the next one: so does its student, and no label told it."""
    liars = [dataclasses.replace(m, files=(str(ran.run.out / m.files[0]),)) for m in ran.pool]
    wrong = torch.nn.functional.one_hot((DATA.train.y + 1) % 10, 10).double() * 0.9 + 0.01
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distillation, "saved_predictions", lambda *args: wrong)
        student = distillation.distil(config(), DATA, liars, ran.weights, SilentRun(tmp_path))
    assert quality(student.p_val, (DATA.val.y + 1) % 10).accuracy > 0.7
    assert quality(student.p_val, DATA.val.y).accuracy < 0.1


def test_the_loss_of_a_student_is_hintons():
    out, soft = torch.randn(6, 4), torch.rand(6, 4).softmax(1)
    plain = -(soft * (out / 3).log_softmax(1)).sum(1).mean() * 9
    assert DIGITS.distillation_loss(3.0)(out, soft).item() == pytest.approx(plain.item(), rel=1e-6)
    y = torch.tensor([0, 1, 2, 3, 0, 1])
    assert DIGITS.distillation_loss(3.0)(out, y).equal(F.cross_entropy(out, y))


def test_no_student_of_another_loss(ran, tmp_path):
    cfg, run = config(), SilentRun(tmp_path)
    cfg = OmegaConf.merge(cfg, {"loss": None}, {"loss": {"_target_": "torch.nn.MultiMarginLoss"}})
    assert distillation.distil(cfg, DATA, ran.pool, ran.weights, run) is None
    assert "student: left out" in run.messages[0]


# ---- test, once ----------------------------------------------------------------------------------------------


def test_the_systems_are_read_from_what_was_saved(ran):
    names = [s.name for s in ran.results.systems]
    assert names[:4] == ["constant", "linear, untuned", final_evaluation.BEST_MEMBER, final_evaluation.STUDENT]
    assert names[-1] == ran.weights.name + (", calibrated" if ran.weights.calibrated else "")
    assert set(ran.weights.options) <= set(names)
    constant, untuned, best, *_ = ran.results.systems
    shares = torch.bincount(DATA.train.y, minlength=10) + 0.5
    assert constant.p_test[7].allclose((shares / shares.sum()).double(), atol=1e-6)
    assert quality(untuned.p_test, TEST.y).accuracy < quality(best.p_test, TEST.y).accuracy
    assert quality(best.p_val, DATA.val.y).nll == min(quality(m.p_val, DATA.val.y).nll for m in ran.pool)
    assert (
        ran.results.final.score(DIGITS, ACCURACY, DATA.val.y, TEST.y)["test_low"]
        < quality(ran.results.final.p_test, TEST.y).accuracy
    )


def test_every_system_is_compared_with_the_final_one(ran):
    rows = read_csv(ran.run.out / "comparisons.csv")
    others = [s.name for s in ran.results.systems[:-1]]
    assert [r["against"] for r in rows] == [*others, final_evaluation.BEST_MEMBER]
    assert {r["system"] for r in rows[:-1]} == {ran.results.final.name}
    assert rows[-1]["system"] == final_evaluation.STUDENT


def test_every_figure_of_the_report_is_drawn(ran):
    assert all((ran.run.out / name).stat().st_size > 1000 for name in captions.FIGURES)
    figures.extended_training(ran.run.out / "off.png", None)  # `longer: 0`
    assert (ran.run.out / "off.png").is_file()


def test_the_table_of_predictions(ran):
    path = ran.run.out / "predictions.parquet"
    rows, tested = read_table(path), ran.results
    p = torch.tensor([[r[f"p_{c}"] for c in DATA.task.names] for r in rows], dtype=torch.float64)
    assert p.equal(tested.final.p_test)  # every bit
    assert [r["id"] for r in rows] == TEST.ids
    assert [r["label"] for r in rows] == [str(int(c)) for c in TEST.y]
    assert [r["predicted"] for r in rows] == [str(int(c)) for c in p.argmax(1)]
    assert [r["confidence"] for r in rows] == p.max(1).values.tolist()
    assert sum(r["loss"] for r in rows) / len(rows) == pytest.approx(quality(p, TEST.y).nll)
    best = next(s for s in tested.systems if s.name == final_evaluation.BEST_MEMBER)
    mine = [float(r[f"loss of {best.name}"]) for r in rows]
    assert sum(mine) / len(mine) == pytest.approx(quality(best.p_test, TEST.y).nll)
    again = ran.run.out / "again.parquet"
    agreement = torch.tensor([r["agreement"] for r in rows], dtype=torch.float64)
    assert 0 < agreement.min() <= agreement.max() == 1
    final_evaluation.write_predictions(again, TEST, DIGITS, DIGITS.answers(), tested.systems, agreement)
    assert again.read_bytes() == path.read_bytes()


def test_agreement_counts_members_as_often_as_they_count():
    a, b = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.2, 0.8]])
    assert Classification(("a", "b")).answers().agreement(torch.stack([a, b]), [3, 1], a).tolist() == [0.75]


def test_the_most_confident_mistake_comes_first():
    p = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.05, 0.95], [0.6, 0.4]])
    assert final_evaluation.worst_first(
        Classification(("a", "b")), ClassAnswers(("a", "b")), p, torch.tensor([0, 0, 0, 1])
    ).tolist() == [2, 1, 3]


def test_what_it_found_is_told(ran):
    sentences = [captions.summary(ran.results), *captions.findings(ran.results)]
    assert all(s.endswith(".") for s in sentences)
    for word in (
        "on test (95 % CI",
        "Chosen on validation",
        "averaged have",
        "temperature",
        "untuned",
        "instead of 8.55 passes",
    ):
        assert any(word in s for s in sentences), word
    assert {p["outcome"] for p in results.predictions(ran.results)} <= {"confirmed", "refuted", "undecided"}
    assert all(isinstance(v, (int, float)) for v in results.metrics(ran.results).values())


# ---- the checks ----------------------------------------------------------------------------------------------


def verdicts(evidence) -> dict[str, str]:
    return {v.check: v.verdict for v in run_checks(checks_of(claims), evidence, where="a test")}


def test_a_healthy_ensemble_closes_no_gate(ran):
    found = run_checks(checks_of(claims), ran.evidence(), where="a test")
    assert not [v.check for v in found if v.closes]
    assert ERROR not in {v.verdict for v in found}


def other_weights(ran):
    """A member's file is that of another training."""
    used = read_yaml(ran.run.out / "choice.yaml")["members"][0]["weights"]
    file, saved = ran.run.out / used, (ran.run.out / used).read_bytes()
    file.write_bytes((ran.run.out / "members/student.safetensors").read_bytes())
    evidence = ran.evidence()
    file.write_bytes(saved)
    return evidence


def sorted_rows(ran):
    """The table was sorted after it was made."""
    file = ran.run.out / "predictions.parquet"
    saved, rows = file.read_bytes(), sorted(read_table(file), key=lambda r: -r["loss"])
    write_table(file, {c: [r[c] for r in rows] for c in rows[0]}, dict.fromkeys(rows[0], ""))
    evidence = ran.evidence()
    file.write_bytes(saved)
    return evidence


def chosen_on_test(ran):
    """Members and temperature were fitted to the test set; the rest of the stage is as it should be."""
    file = ran.run.out / "choice.yaml"
    saved = file.read_text()
    p_test = torch.stack(
        [saved_predictions(ran.cfg, DATA, m.changes, ran.run.out / m.files[0], TEST) for m in ran.pool]
    )
    peeked = member_weights.choose_weights(DIGITS, p_test, TEST.y, 3)
    write_yaml(file, member_weights.content(peeked, ran.pool))
    evidence = ran.evidence()
    file.write_text(saved)
    return evidence


def multiplied(ran):
    """The temperature multiplies the logits where it must divide them."""
    p, y = tempered(ran.results.averaged.p_val, 0.5), DATA.val.y
    return dataclasses.replace(ran.evidence(), calibration=calibration_effect("val", DIGITS, p, (1 / 3.0,), y))


def seen_before(ran):
    """An example of test was trained on as well."""
    data = dataclasses.replace(DATA, train=dataclasses.replace(DATA.train, ids=[*DATA.train.ids[1:], TEST.ids[0]]))
    return results.evidence(data, TEST, ran.results, reloaded(ran, TEST))


def labels_moved(ran):
    """The test set's labels count from another zero."""
    test, candidates = dataclasses.replace(TEST, y=(TEST.y + 1) % 10), ran.results.candidates
    moved = results.evaluate(ran.cfg, DATA, test, candidates)
    evidence = results.evidence(DATA, test, moved, reloaded(ran, test))
    results.evaluate(ran.cfg, DATA, TEST, candidates)
    return evidence


def compare(name, p, other, q):
    return final_evaluation.compared(DIGITS, ACCURACY, name, p, other, q, TEST.y)


def replaced(**changes):
    return lambda ran: dataclasses.replace(ran.evidence(), **{k: of(ran) for k, of in changes.items()})


PLANTED = {
    "predictions_are_the_models": [other_weights, sorted_rows],
    "choice_rests_on_val": [chosen_on_test],
    "whole_test_set_is_counted": [seen_before],
    "temperature_is_fitted": [multiplied],
    "final_score_beats_the_constant": [labels_moved],
    # ten times the same member: the mean is no better than the best
    "ensemble_beats_its_best_member": [replaced(members=lambda ran: [ran.evidence().averaged])],
    "temperature_is_moderate": [
        replaced(choice=lambda ran: {"calibration": {"temperature": 3.5}}),
        replaced(choice=lambda ran: {"calibration": {"temperature": 0.3}}),
    ],
    "temperature_helps_where_it_was_not_fitted": [replaced(held_out=lambda ran: (0.02, 0.05))],
    "final_beats_the_untuned_baseline": [
        replaced(untuned=lambda ran: compare("a", ran.results.systems[0].p_test, "b", ran.results.final.p_test))
    ],
    "final_beats_simple_models": [
        replaced(simple=lambda ran: compare("a", ran.results.systems[0].p_test, "b", ran.results.final.p_test))
    ],
    "intervals_cover": [replaced(coverage=lambda ran: too_narrow())],
    "training_was_long_enough": [replaced(extended=lambda ran: too_short(ran))],
}  # fmt: skip


def too_narrow():
    """Intervals of half the width that validation asks for, as of residuals on train."""
    residuals = torch.randn(800, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (width,) = half_widths(torch.zeros(400, 1), residuals[:400])
    return coverage(["age"], torch.zeros(400, 1), residuals[400:], (width / 2,), 400)


def too_short(ran):
    """Members that ended after a pass."""
    cfg = config(train={"epochs": 1.1}, longer=10)
    pool = train_pool(cfg, DATA, ACCEPTED, [], SilentRun(ran.run.out / "short"))
    return extend_training(cfg, DATA, pool[0], SilentRun(ran.run.out))


def test_every_check_has_a_bug_that_it_must_notice():
    assert set(PLANTED) == set(checks_of(claims))


@pytest.mark.parametrize(("name", "bug"), [(n, b) for n, bugs in PLANTED.items() for b in bugs])
def test_planted_bugs_are_noticed(ran, name, bug):
    assert verdicts(bug(ran))[name] == FAIL


def test_two_systems_that_answer_alike_are_undecided(ran):
    same = compare("a", ran.results.final.p_test, "b", ran.results.final.p_test)
    evidence = dataclasses.replace(ran.evidence(), untuned=same)
    assert verdicts(evidence)["final_beats_the_untuned_baseline"] == UNDECIDED


def test_without_longer_training_its_check_is_skipped(ran):
    assert verdicts(dataclasses.replace(ran.evidence(), extended=None))["training_was_long_enough"] == SKIP


def test_training_that_lasts_long_enough_passes(ran):
    same = dataclasses.replace(
        ran.results.extended, gains={"constant rate": fall(*[ran.pool[0].p_val] * 2, DATA.val.y)}
    )
    assert verdicts(dataclasses.replace(ran.evidence(), extended=same))["training_was_long_enough"] == PASS
