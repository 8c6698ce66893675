"""Fine-tuning: what moves and what stays, at which rates, and that a saved system predicts what was evaluated."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from backbones import SMALL, random_encoder, random_weights
from clone import ROOT
from omegaconf import OmegaConf
from safetensors.torch import load_file
from sources import CONFIG, Set, stored

from recipe import verdict
from recipe.config.compose import compose
from recipe.data.batches import load as load_data
from recipe.data.batches import read_test
from recipe.data.splits import write_folds
from recipe.errors import RecipeError
from recipe.experiment import arms, build, saved
from recipe.experiment.budget import Budget, cost_of
from recipe.files import read_yaml, write_csv, write_json
from recipe.models.fine_tuned import DECAY, HEAD, FineTuned, layers
from recipe.serve import system
from recipe.stages.embed.embed import embed
from recipe.stages.ensemble.members import member_on_test, predictions, saved_predictions, train_pool
from recipe.stages.ensemble.mispredictions import predict_split
from recipe.stages.regularize import ablation, diagnostics
from recipe.stages.splits import data_of
from recipe.stages.tune import checks as tune_checks
from recipe.stages.tune import no_search
from recipe.train.checkpoint import save_weights
from recipe.train.cost import multiplications
from recipe.train.evaluations import fixed_sample
from recipe.train.loop import PlainLane, outputs
from recipe.train.plan import why_plain
from recipe.train.schedules import CONSTANT, WarmedUp

pytestmark = pytest.mark.slow
WORDS = ["good", "fine", "great", "film", "bad", "dull", "poor", "plot"]
TRAIN, VAL, TEST = range(24), range(24, 34), range(34, 44)


class Written(Set):
    kind = "text"


class Silent:
    """In place of a stage's run."""

    checkpoints = None

    def __init__(self, root):
        self.out, self.device, self.in_dvc = root / "embed", "cpu", False

    def say(self, *texts):
        pass

    def lane(self, *args, **kwargs):
        pass


def config(backbone: str, weights: str, **changes):
    model = {
        "_target_": "recipe.models.pretrained.pretrained", "backbone": backbone, "weights": weights, "width": 8,
        "depth": 0, "dropout": 0.0, "unfreeze": "none", "probe": 0,
    }  # fmt: skip
    train = {
        "share": 1.0, "batch_size": 8, "epochs": 2.0, "eval_every": 1.0, "quantiles": False, "input_size": None,
        "augment": False, "mixup": 0.0, "patience": None, "early_stopping": False, "precision": "float32",
    }  # fmt: skip
    parts = {
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "optimizer": {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.01, "weight_decay": 0.1},
        "sampler": {"_target_": "recipe.train.sampler.plain", "_partial_": True},
        "augment": {"_target_": "recipe.train.augment.Flip"},
        "step": {"_target_": "recipe.train.loop.train_step", "_partial_": True},
    }
    return OmegaConf.create({"model": model, "train": train, "seed": 0, "budget": None, "seeds": 2, **parts, **changes})


def images(root) -> tuple[Set, str, str]:
    """Noise, darker in the first class, of 32 x 32 pixels."""
    draw = np.random.default_rng(0)
    pictures = [draw.integers(40 * (i % 2), 200 + 50 * (i % 2), (32, 32, 3), np.uint8) for i in range(len(TRAIN) + 20)]
    return Set([(p, i % 2) for i, p in enumerate(pictures)]), SMALL, str(random_weights(root / "weights"))


def texts(root) -> tuple[Set, str, str]:
    """Words of two classes, of several lengths."""
    draw = np.random.default_rng(0)
    of = [" ".join(draw.choice(WORDS[4 * (i % 2) : 4 * (i % 2) + 4], 2 + i % 20)) for i in range(len(TRAIN) + 20)]
    return Written([(t, i % 2) for i, t in enumerate(of)]), "small", str(random_encoder(root / "small", WORDS))


@pytest.fixture(scope="module", params=[images, texts], ids=["images", "texts"])
def made(request, tmp_path_factory):
    """cfg, data, test, store, root"""
    root = tmp_path_factory.mktemp("unfrozen")
    source, name, weights = request.param(root)
    _, store = stored(source, root / "store")
    cfg = config(name, weights)
    embed(store, OmegaConf.to_container(cfg.model), Silent(root))
    for part, rows in {"train": TRAIN, "val": VAL, "test": TEST}.items():
        write_csv(root / f"{part}.csv", [{"id": f"i{r}", "row": r, "label": r % 2} for r in rows])
    write_csv(root / "classes.csv", [{"label": n, "class": name} for n, name in enumerate("ab")])
    places = {"lists": root, "folder": store.folder}
    data = load_data(CONFIG, "cpu", **places, backbone=name, embedded=root / "embed/features")
    return SimpleNamespace(
        cfg=cfg, data=data, test=read_test(data, CONFIG, "cpu", **places), store=store, root=root, of=name
    )


def trained(made, seed: int = 0, **changes):
    """(the lane, its model's weights before, its result)"""
    changes = {f"{key.replace('__', '.')}": value for key, value in changes.items()}
    lane = build.lane(made.cfg, made.data, seed, changes)
    before = {name: value.clone() for name, value in lane.model.state_dict().items()}
    (result,) = build.train(made.cfg, made.data, [lane], Silent(made.root), "test")
    return lane, before, result


def moved(before: dict, after: dict) -> set[str]:
    return {name for name, value in after.items() if not torch.equal(value, before[name])}


# ---- the untrained model -----------------------------------------------------------------------------------------


def test_untrained_it_answers_as_the_head_does_on_the_stored_features(made):
    frozen = build.model(made.cfg, made.data, 3)
    whole = build.model(_with(made.cfg, "all"), made.data, 3)
    assert isinstance(whole, FineTuned)
    for split in (made.data.val, made.test):
        expected = outputs(frozen, split.x)
        torch.testing.assert_close(
            outputs(whole, build.entering(made.data, whole, split).x), expected, atol=1e-4, rtol=1e-4
        )


def _with(cfg, unfreeze: str, **more):
    changed = cfg.copy()
    changed.model.unfreeze = unfreeze
    for key, value in more.items():
        changed.model[key] = value
    return changed


def test_an_unknown_word_is_one_clear_message(made):
    with pytest.raises(RecipeError, match=r"`model.unfreeze: some` is not one of none, last, all\."):
        build.lane(made.cfg, made.data, 0, {"model.unfreeze": "some"})


def test_it_is_no_choice_for_all_stages(made):
    cfg = _with(made.cfg, "all")
    cfg.tokenizer = {"_target_": "recipe.data.tokens.Words"}
    with pytest.raises(RecipeError, match="is a candidate change of regularize"):
        data_of(cfg, "cpu", print)


def test_inputs_are_not_mixed(made):
    with pytest.raises(RecipeError, match="set it to 0 there"):
        build.lane(made.cfg, made.data, 0, {"model.unfreeze": "all", "train.mixup": 0.2})


# ---- what moves --------------------------------------------------------------------------------------------------


def test_of_the_last_block_nothing_below_moves(made):
    lane, before, result = trained(made, model__unfreeze="last")
    body = lane.model.body
    last = {id(p) for p in layers(body)[-1]}
    names = {f"body.{name}" for name, p in body.named_parameters() if id(p) in last}
    changed = moved(before, result.last)
    assert changed <= names | {"head.1.weight", "head.1.bias"}
    assert {"head.1.weight", "head.1.bias"} <= changed
    assert len(changed & names) > len(names) / 2
    assert len(layers(body)) > 2


def test_of_all_layers_every_one_moves_but_no_statistic(made):
    lane, before, result = trained(made, model__unfreeze="all")
    changed = moved(before, result.last)
    named = {id(p): f"body.{name}" for name, p in lane.model.body.named_parameters()}
    assert all(any(named[id(p)] in changed for p in layer) for layer in layers(lane.model.body))
    buffers = {name for name, _ in lane.model.named_buffers()}
    assert not changed & buffers
    assert {"mean", "std", "limits"} <= buffers


def test_the_body_is_always_in_eval_mode(made):
    net = build.model(_with(made.cfg, "all"), made.data, 0)
    net.train()
    assert net.training
    assert net.head.training
    assert not any(module.training for module in net.body.modules())


def test_each_layer_has_its_rate(made):
    lane = build.lane(made.cfg, made.data, 0, {"model.unfreeze": "all"})
    head, *body = lane.optimizer.param_groups
    assert head["lr"] == 0.01 * HEAD == 0.1
    depth = len(layers(lane.model.body))
    assert [group["lr"] for group in body] == pytest.approx([0.01 * DECAY**k for k in range(depth)])
    assert {id(p) for p in body[0]["params"]} == {id(p) for p in layers(lane.model.body)[-1]}
    owned = [id(p) for group in lane.optimizer.param_groups for p in group["params"]]
    assert len(owned) == len(set(owned)) == sum(p.requires_grad for p in lane.model.parameters())
    of_last = build.lane(made.cfg, made.data, 0, {"model.unfreeze": "last"}).optimizer.param_groups
    assert [group["lr"] for group in of_last] == pytest.approx([0.1, 0.01])


def test_the_rate_warms_up_and_falls(made):
    lane = build.lane(made.cfg, made.data, 0, {"model.unfreeze": "all", "train.epochs": 20.0})
    assert lane.schedule == WarmedUp(CONSTANT)
    factors = [lane.schedule(step, lane.steps) for step in range(lane.steps)]
    assert factors[0] == pytest.approx(1 / 6)
    assert max(factors) == factors[5] == 1
    assert factors[-1] == pytest.approx(1 / 54)
    assert all(factor > 0 for factor in factors)


def test_it_goes_through_the_plain_loop_with_the_reason(made):
    assert why_plain(build.lane(made.cfg, made.data, 0, {"model.unfreeze": "all"})) == (
        "its optimizer has several groups of parameters"
    )


# ---- the head first ----------------------------------------------------------------------------------------------


def test_a_probe_trains_the_head_alone_and_the_rest_begins_there(made):
    changes = {"model.unfreeze": "all", "model.probe": 5}
    lane = build.lane(made.cfg, made.data, 0, changes)
    before = {name: value.clone() for name, value in lane.model.state_dict().items()}
    assert lane.probe.steps == 15
    PlainLane(lane, made.data.train)
    assert moved(before, lane.model.state_dict()) == {"head.1.weight", "head.1.bias"}
    alone = build.lane(made.cfg, made.data, 0, {"train.epochs": 5.0})
    build.train(made.cfg, made.data, [alone], Silent(made.root), "alone")
    for name, value in alone.model.state_dict().items():
        assert torch.equal(value, lane.model.head.state_dict()[name])


def test_after_the_probe_the_head_is_evaluated_on_the_features(made):
    changes = {"model.unfreeze": "all", "model.probe": 5}
    work = PlainLane(build.lane(made.cfg, made.data, 0, changes), made.data.train)
    raw = made.data.raw
    for part in (raw.val, raw.train, fixed_sample(raw.train, 9)):
        on_features = work.outputs(part)[0]
        work.done = 1
        torch.testing.assert_close(on_features, work.outputs(part)[0], atol=1e-4, rtol=1e-4)
        work.done = 0


def test_equal_seeds_have_equal_bits(made):
    changes = {"model__unfreeze": "all", "model__probe": 3}
    one, again, other = (trained(made, seed, **changes)[2] for seed in (0, 0, 1))
    assert not moved(one.last, again.last)
    assert one.curve == again.curve
    assert moved(one.last, other.last)


def test_a_training_that_was_killed_resumes_with_the_same_bits(made, tmp_path, monkeypatch):
    changes = {"model.unfreeze": "all", "model.probe": 2, "train.epochs": 4.0}
    whole = trained(made, **{key.replace(".", "__"): value for key, value in changes.items()})[2]
    monkeypatch.setattr("recipe.train.engine.EVERY", 0.0)
    run = Silent(made.root)
    run.checkpoints = tmp_path

    class Killed(Exception):
        pass

    lane = build.lane(made.cfg, made.data, 0, changes)
    advance = PlainLane.advance

    def until(self, to):
        if to > 6:
            raise Killed
        return advance(self, to)

    with monkeypatch.context() as patched:
        patched.setattr(PlainLane, "advance", until)
        with pytest.raises(Killed):
            build.train(made.cfg, made.data, [lane], run, "killed")
    lane = build.lane(made.cfg, made.data, 0, changes)
    (resumed,) = build.train(made.cfg, made.data, [lane], run, "killed")
    assert not moved(whole.last, resumed.last)


# ---- cost --------------------------------------------------------------------------------------------------------


def test_the_body_is_counted(made):
    frozen, last, all_, probed = (
        cost_of(made.cfg, made.data, changes)
        for changes in (
            {}, {"model.unfreeze": "last"}, {"model.unfreeze": "all"}, {"model.unfreeze": "all", "model.probe": 4},
        )
    )  # fmt: skip
    lane = build.lane(made.cfg, made.data, 0, {"model.unfreeze": "all"})
    forward = multiplications(lane.model, lane.fold.train.x)
    whole = 3 * forward * lane.steps * 8
    assert 0.99 * whole < all_ <= whole  # BERT's pooler is computed, and not trained
    assert forward * lane.steps * 8 < last < all_
    assert frozen < last / 10
    assert probed == pytest.approx(all_ + 2 * frozen)  # 4 passes, and 2 of the frozen one


# ---- the ablation ------------------------------------------------------------------------------------------------


def test_candidates_of_pretrained_networks_are_compared_with_the_frozen_head(made):
    rungs = [
        {"name": "last", "pretrained": True, "change": {"model.unfreeze": "last"}, "expected": "val_loss falls"},
        {"name": "never", "change": {"model.unfreeze": "some"}, "expected": "val_loss falls"},
    ]
    cfg = OmegaConf.merge(made.cfg, {"rungs": rungs, "further": False, "confidence": 0.95})
    run = Silent(made.root)
    run.note = lambda text: None
    base = arms.train_arms(cfg, made.data, {"base": {}}, run)["base"]
    result = ablation.run_ablation(cfg, made.data, base, run)
    assert [c.name for c in result.candidates] == ["last", "never"]
    assert result.candidates[0].gain
    assert result.candidates[0].gain.n == 2
    assert "`model.unfreeze: some` is not one of" in result.candidates[1].skipped
    without = replace(made.data, features=None)
    assert [entry["name"] for entry in ablation._of_the_model(rungs, without)] == ["never"]


def test_a_small_budget_has_fewer_passes_and_seeds_or_none(made):
    rung = {"name": "all", "pretrained": True, "change": {"model.unfreeze": "all", "train.epochs": 3.0}, "fewest": 1}
    more = {"rungs": [rung | {"expected": "val_loss falls"}], "further": False, "confidence": 0.95, "seeds": 4}
    cfg, run = OmegaConf.merge(made.cfg, more), Silent(made.root)
    notes: list[str] = []
    run.note = notes.append
    base = arms.train_arms(cfg, made.data, {"base": {}}, run)["base"]
    of_pass = cost_of(cfg, made.data, {"model.unfreeze": "all", "train.epochs": 1.0})
    (short,) = ablation.run_ablation(cfg, made.data, base, run, budget=Budget(3 * of_pass, 1.0)).candidates
    assert short.levels[0].change["train.epochs"] == 1.5
    assert short.gain.n in (2, 3)
    (none,) = ablation.run_ablation(cfg, made.data, base, run, budget=Budget(1.9 * of_pass, 1.0)).candidates
    assert "no room in the stage's budget" in none.skipped


def test_each_of_confs_rungs_of_pretrained_networks_reaches_a_lane(made):
    rungs = [r for r in OmegaConf.to_container(compose("regularize", ROOT).rungs) if "pretrained" in r]
    assert len(rungs) == 3
    for rung in rungs:
        assert ablation.inapplicable(made.cfg, made.data, {}, rung["change"]) == ""
        lane = build.lane(made.cfg, made.data, 0, ablation.resolved(made.cfg, made.data, {}, rung["change"]))
        assert isinstance(lane.model, FineTuned)
        assert lane.steps == 6
        assert bool(lane.probe) == ("first" in rung["name"])


def test_the_cost_of_a_candidate_is_beside_its_gain(made):
    rung = {"name": "all", "pretrained": True, "change": {"model.unfreeze": "all"}, "expected": "val_loss falls"}
    cfg, run = OmegaConf.merge(made.cfg, {"rungs": [rung], "further": False, "confidence": 0.95}), Silent(made.root)
    run.note = lambda text: None
    base = arms.train_arms(cfg, made.data, {"base": {}}, run)["base"]
    result = ablation.run_ablation(cfg, made.data, base, run)
    (_, row) = ablation.table(result)
    assert row["cost"] == cost_of(cfg, made.data, {"model.unfreeze": "all"})
    assert "times the multiplications" in result.candidates[0].prediction()["measured"]


def test_a_search_without_room_hands_the_accepted_recipe_on(made, tmp_path, monkeypatch):
    accepted = {"model.unfreeze": "all", "train.epochs": 1.0}
    each = cost_of(made.cfg, made.data, accepted)
    schedule = {"_target_": "recipe.train.schedules.Constant"}
    cfg = OmegaConf.merge(made.cfg, {"schedule": schedule, "fine_tuning": None})
    assert no_search.no_room(cfg, made.data, accepted) is None
    assert no_search.no_room(OmegaConf.merge(cfg, {"budget": 6.01 * each}), made.data, accepted) is None
    cfg = OmegaConf.merge(cfg, {"budget": 5 * each})
    unsearched = no_search.no_room(cfg, made.data, accepted)
    verdicts = verdict.run(verdict.checks_of(tune_checks), unsearched)
    assert {v.verdict for v in verdicts} == {verdict.SKIP}
    monkeypatch.chdir(tmp_path)
    write_json(Path("runs/regularize/report.json"), {"metrics": [{"val_loss": 0.5, "val_accuracy": 0.75, "kept": 1}]})
    run = Silent(tmp_path)
    run.out = tmp_path / "tune"
    report = no_search.hand_on(unsearched, cfg, made.data, accepted, run, verdicts)
    assert report.metrics["val_loss"] == 0.5
    assert "kept without a search: a training takes" in report.summary
    assert read_yaml(run.out / "best.yaml") == accepted
    assert read_yaml(run.out / "finished.yaml") == [accepted]
    assert (run.out / "trials.csv").read_text().startswith("sampler,")
    assert all((run.out / name).stat().st_size > 500 for name in no_search.FIGURES)


def test_without_a_budget_a_search_that_takes_hours_is_left_out_with_advice(made):
    accepted = {"model.unfreeze": "all", "train.epochs": 1.0}
    each = cost_of(made.cfg, made.data, accepted)
    search = {"samplers": ["random", "tpe"], "repeats": 1, "trials": 4, "trial_seeds": 1, "halving": None}
    # 8 trials, and 2 recipes with 2 seeds
    cfg = OmegaConf.merge(made.cfg, search, {"fine_tuning": 12.01 * each})
    assert no_search.no_room(cfg, made.data, accepted) is None
    cfg.fine_tuning = 11.99 * each
    unsearched = no_search.no_room(cfg, made.data, accepted)
    assert "takes 12 trainings of" in unsearched.reason
    assert f"`tune: {{budget: {24 * each:.1e}}}` in params.yaml" in unsearched.reason
    assert no_search.no_room(cfg, made.data, {}) is None  # of heads
    cfg.fine_tuning = None
    assert no_search.no_room(cfg, made.data, accepted) is None


def test_its_head_is_diagnosed(made):
    cfg = made.cfg
    changes = {"model.unfreeze": "all", "model.depth": 1}
    arm = arms.train_arms(cfg, made.data, {"all": changes}, Silent(made.root))["all"]
    diagnosed = diagnostics.diagnose(cfg, made.data, arm)
    assert [a.units for a in diagnosed.activations] == [8]
    assert math.isfinite(diagnosed.error)


# ---- the ensemble ------------------------------------------------------------------------------------------------


@pytest.fixture
def accepted(made, tmp_path):
    """(its changes, the trainings of three seeds as regularize saves them)"""
    changes = {"model.unfreeze": "all", "train.epochs": 1.0}
    arm = arms.train_arms(made.cfg, made.data, {"all": changes}, Silent(made.root), seeds=[0, 1, 2])["all"]
    saved.save_trainings(tmp_path / "trainings", arm, [0, 1, 2, 3])
    return changes, tmp_path / "trainings", arm


def pool_of(made, tmp_path, changes, trainings, **budget):
    run, notes = Silent(made.root), []
    run.out, run.note = tmp_path, notes.append
    cfg = OmegaConf.merge(made.cfg, {"members": 4, "top": 0, **budget})
    (tmp_path / "members").mkdir(exist_ok=True)
    return train_pool(cfg, made.data, changes, [], run, trainings), notes


def test_without_room_for_new_ones_the_members_are_those_of_regularize(made, tmp_path, accepted, monkeypatch):
    changes, trainings, arm = accepted
    trained_here = []
    monkeypatch.setattr(build, "train", lambda cfg, data, lanes, *rest: trained_here.extend(lanes) or [])
    pool, notes = pool_of(made, tmp_path, changes, trainings, budget=1.0)
    assert [member.seed for member in pool] == [0, 1, 2]
    assert trained_here == []
    for member, lane in zip(pool, arm.lanes, strict=True):
        assert not moved(load_file(tmp_path / member.files[0]), lane.last)
        assert member.rows() == [lane.curve[-1]]
        again = saved_predictions(made.cfg, made.data, changes, tmp_path / member.files[0], made.data.val)
        torch.testing.assert_close(member.p_val, again, atol=1e-6, rtol=0)
    assert "3 members are trainings of regularize" in notes[-1]


def test_new_members_come_first_where_the_budget_has_room(made, tmp_path, accepted):
    changes, trainings, _ = accepted
    each = cost_of(made.cfg, made.data, changes)
    pool, notes = pool_of(made, tmp_path, changes, trainings, budget=2.5 * each)
    assert [member.seed for member in pool] == [0, 1, 50, 51]
    assert "2 members are trainings of regularize" in notes[-1]
    pool, notes = pool_of(made, tmp_path, changes, trainings)
    assert [member.seed for member in pool] == [50, 51, 52, 53]
    assert notes == [""]


def test_trainings_of_another_recipe_are_no_members(made, tmp_path, accepted):
    changes, trainings, _ = accepted
    assert saved.read_trainings(trainings, changes | {"optimizer.lr": 0.1}) == {}
    known = saved.read_trainings(trainings, changes)
    assert list(known) == [0, 1, 2]


def test_with_folds_a_member_is_a_fine_tuned_network_in_each(made, tmp_path):
    lists = shutil.copytree(made.root, tmp_path / "lists", ignore=lambda _, names: [n for n in names if "." not in n])
    write_folds({f"i{r}": 0 if r in VAL else 1 + r % 2 for r in [*TRAIN, *VAL]}, lists)
    places = {"lists": lists, "folder": made.store.folder}
    data = load_data(CONFIG, "cpu", **places, backbone=made.of, embedded=made.root / "embed/features", folds=True)
    test = read_test(data, CONFIG, "cpu", **places)
    changes, run = {"model.unfreeze": "all", "model.probe": 1, "train.epochs": 1.0}, Silent(made.root)
    run.out, run.note = tmp_path, lambda text: None
    (tmp_path / "members").mkdir()
    arm = arms.train_arms(made.cfg, data, {"all": changes}, run)["all"]
    assert [lane.curve[-1]["step"] for lane in arm.lanes] == [3, 3, 3]
    assert math.isfinite(arms.gain(arms.train_arms(made.cfg, data, {"frozen": {}}, run)["frozen"], arm, 0.95).mean)
    pool = train_pool(OmegaConf.merge(made.cfg, {"members": 4, "top": 0}), data, changes, [], run)
    assert [len(member.files) for member in pool] == [3, 3]
    assert pool[0].p_val.shape == (len(TRAIN) + len(VAL), 2)
    members = [(changes, tmp_path / file, 1) for member in pool for file in member.files]
    system.save(tmp_path / "system", made.cfg, data, members, prepared=made.store.folder, folds=[0, 1, 2] * 2)
    loaded = system.load(tmp_path / "system")
    on_test = torch.stack([member_on_test(made.cfg, data, member, tmp_path, test) for member in pool]).mean(0)
    torch.testing.assert_close(predict_split(loaded, "test", test, data).p, on_test, atol=1e-5, rtol=0)
    held_out = torch.stack([member.p_val for member in pool]).mean(0)
    of_folds = [predict_split(loaded.of_fold(k), "val", fold.val, data).p for k, fold in enumerate(data.folds)]
    torch.testing.assert_close(torch.cat(of_folds), held_out, atol=1e-5, rtol=0)


# ---- the system --------------------------------------------------------------------------------------------------


def test_a_saved_system_predicts_what_was_evaluated(made, tmp_path):
    members = []
    for seed, changes in enumerate(({"model.unfreeze": "all"}, {"model.unfreeze": "last"}, {})):
        lane, _, result = trained(made, seed, **{key.replace(".", "__"): v for key, v in changes.items()})
        save_weights(result.last, tmp_path / f"{seed}.safetensors")
        members.append((changes, tmp_path / f"{seed}.safetensors", 1))
    system.save(tmp_path / "system", made.cfg, made.data, members, prepared=made.store.folder)
    on_test = torch.stack(
        [saved_predictions(made.cfg, made.data, changes, file, made.test) for changes, file, _ in members]
    )
    torch.testing.assert_close(predictions(made.data, lane.model, made.test), on_test[-1], atol=1e-6, rtol=0)
    loaded = system.load(tmp_path / "system")
    assert [isinstance(member, FineTuned) for member in loaded.members] == [True, True, False]
    inputs = np.array(made.test.texts, object) if made.test.texts else made.store.inputs[list(TEST)]
    torch.testing.assert_close(loaded.predict(inputs), on_test.mean(0), atol=1e-5, rtol=0)
    of_page = predict_split(loaded, "test", made.test, made.data)
    torch.testing.assert_close(of_page.p, on_test.mean(0), atol=1e-5, rtol=0)
    known = predict_split(loaded, "test", made.test, made.data, on_test)
    torch.testing.assert_close(known.p, of_page.p, atol=1e-5, rtol=0)
    np.testing.assert_allclose(known.agreement, of_page.agreement)
    damaged = (tmp_path / "system/members/0.safetensors").read_bytes()
    (tmp_path / "system/members/0.safetensors").write_bytes(damaged[:-1] + b"x")
    with pytest.raises(RecipeError, match=r"members/0\.safetensors"):
        system.load(tmp_path / "system")
