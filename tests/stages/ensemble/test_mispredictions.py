"""What the page of mispredictions is made of: judgements, doubted labels, nearest training examples."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from pages import payload, values
from systems import CFG, KINDS, MEMBERS, project
from torch import nn

from recipe.cli import main
from recipe.config.changes import change
from recipe.data.batches import Split
from recipe.data.decisions import COLUMNS, read_decisions
from recipe.experiment import build
from recipe.files import read_csv, write_csv, write_table
from recipe.serve import system
from recipe.sources.digits import Digits
from recipe.stages.ensemble import mispredictions
from recipe.stages.ensemble.final_system import FinalSystem
from recipe.stages.ensemble.mispredictions import (
    SplitPredictions,
    nearest,
    page,
    predict_split,
    proposals,
    sentence,
    splits,
    write,
)  # fmt: skip
from recipe.tasks.classification import Classification
from recipe.tasks.labels import ClassNumbers

PLANTED = 12
WIDER = {"model.width": 128}


class Mislabelled(Digits):
    """The digits, some of which have a wrong label; `wrong` are their places."""

    def __init__(self):
        super().__init__()
        self.targets = self.targets.copy()
        self.wrong = np.random.default_rng(3).choice(len(self), 5 * PLANTED, replace=False)
        self.targets[self.wrong] = (self.targets[self.wrong] + 3) % 10


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(project, saved system, ids of examples with a planted wrong label)"""
    source = Mislabelled()
    made = project(tmp_path_factory.mktemp("digits"), source)
    members = []
    for seed in range(2):
        net = build.model(change(CFG, WIDER), made.data, seed)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(40):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(made.data.train.x), made.data.train.y).backward()
            optimizer.step()
        members.append((WIDER, net.state_dict(), 1 + seed))
    system.save(made.system, CFG, made.data, members, prepared=made.root / "runs/prepare")
    planted = {e["id"] for e in made.store.examples() if e["source"] in source.wrong}
    return made, system.load(made.system), planted


def a_run(out) -> SimpleNamespace:
    return SimpleNamespace(out=out, cfg=OmegaConf.create({"data": {"_target_": "somewhere.Digits"}, "seed": 0}))


@pytest.fixture(scope="module")
def predicted(trained):
    made, final, _ = trained
    return [predict_split(final, name, split, made.data) for name, split in splits(made.data, made.unseen).items()]


# ---- predictions -------------------------------------------------------------------------------------------------


def test_an_example_is_judged_as_the_system_predicts(trained, predicted):
    made, final, _ = trained
    found = predicted[0]
    p = final.predict(made.store.inputs[made.store.rows(found.ids)]).numpy()
    assert found.p.numpy() == pytest.approx(p, abs=1e-9)
    assert found.wrong.tolist() == (p.argmax(1) != found.actual.numpy()).tolist()
    assert found.loss == pytest.approx(-np.log(p[np.arange(len(p)), found.actual]), abs=1e-9)


def test_agreement_counts_each_member_as_often_as_it_was_chosen(trained, predicted):
    made, final, _ = trained
    of_members = final.member_predictions(made.data.val.x).argmax(2).numpy()
    expected = [
        sum(count for k, count in enumerate((1, 2)) if of_members[k, i] == g) / 3
        for i, g in enumerate(predicted[0].p.argmax(1))
    ]
    assert predicted[0].agreement == pytest.approx(expected)
    assert set(predicted[0].agreement.round(4).tolist()) <= {0.0, 0.3333, 0.6667, 1.0}


# ---- doubted labels ----------------------------------------------------------------------------------------------


def test_planted_wrong_labels_are_proposed_and_no_label_of_test(trained, predicted):
    made, _, planted = trained
    lines = proposals(predicted)
    ids = [line["id"] for line in lines]
    assert not set(ids) & set(made.unseen.ids)
    there = planted & {*made.data.train.ids, *made.data.val.ids}
    assert len(there & set(ids)) >= 0.6 * len(there)
    assert len(there & set(ids)) >= 0.8 * len(ids)
    targets = Digits().targets
    right = {e["id"]: targets[e["source"]] for e in made.store.examples()}
    named = [made.data.task.names[right[line["id"]]] == line["label"] for line in lines if line["id"] in planted]
    assert np.mean(named) > 0.9
    assert f"{len(predicted[1].doubted)} labels of test, for inspection only" in sentence(predicted)


def test_the_greatest_loss_comes_first_and_each_line_says_what_was_trained(trained, predicted):
    lines = proposals(predicted)
    loss = {j.ids[i]: j.loss[i] for j in predicted for i in range(len(j.ids))}
    assert [loss[line["id"]] for line in lines] == sorted((loss[line["id"]] for line in lines), reverse=True)
    for line in lines:
        split, reason = line["reason"].split(": ", 1)
        assert reason.endswith({"val": "no member was trained on it", "train": "trained on this label"}[split])


CLASSES = ["=1,2", 'a "b"', "dog"]


def predictions(label, predicted, confidence, split="val") -> SplitPredictions:
    """Of three classes; what is left of the confidence is shared by the two others."""
    p = torch.stack([torch.full((3,), (1 - c) / 2, dtype=torch.float64) for c in confidence])
    p[torch.arange(len(p)), torch.tensor(predicted)] = torch.tensor(confidence, dtype=torch.float64)
    actual, ids = torch.tensor(label), [f"{split}{k}" for k in range(len(label))]
    task = Classification(tuple(CLASSES))
    return SplitPredictions(split, ids, p, actual, task.losses(p, actual).numpy(), np.ones(len(p)), task.answers())


def test_only_confident_contradictions_are_doubted():
    found = predictions([0, 0, 0, 1], [0, 1, 1, 2], [0.99, 0.85, 0.95, 0.999])
    assert found.doubted.tolist() == [3, 2]
    assert proposals([predictions([0], [1], [0.99], "test")]) == []


def test_recipe_decide_takes_the_lines(tmp_path, monkeypatch):
    predicted = [predictions([0, 1, 2], [1, 0, 2], [0.97, 0.95, 0.9]), predictions([0], [1], [0.99], "test")]
    write_csv(tmp_path / "suspects.csv", proposals(predicted), COLUMNS)
    monkeypatch.chdir(tmp_path)
    ids = [i for j in predicted for i in j.ids]
    write_table("runs/audit/examples.parquet", {"id": np.array(ids)}, {"id": "name"})
    (tmp_path / "runs/prepare").mkdir()
    (tmp_path / "runs/prepare/store.json").write_text(
        '{"task": {"name": "classification", "classes": ["=1,2", "a \\"b\\"", "dog"]}}'
    )
    (tmp_path / "decisions.csv").write_text("id,action,label,reason\n")
    assert main(["decide", "suspects.csv"]) == 0
    decided = read_decisions("decisions.csv", set(ids), ClassNumbers(CLASSES))
    assert {d.id: (d.action, d.label) for d in decided.values()} == {
        "val0": ("relabel", CLASSES[1]), "val1": ("relabel", CLASSES[0]),
    }  # fmt: skip


# ---- nearest training examples -----------------------------------------------------------------------------------


def test_the_nearest_are_the_nearest_and_of_equals_the_first():
    rng = torch.Generator().manual_seed(0)
    base, points = torch.randn(700, 30, generator=rng), torch.randn(300, 30, generator=rng)
    base[650] = base[3]
    points[0] = base[3]
    found = nearest(points, base, 5)
    distance = (points[:, None].double() - base[None].double()).square().sum(-1)
    expected = distance.argsort(dim=1, stable=True)[:, :5].numpy()
    assert np.array_equal(found, expected)
    assert found[0, :2].tolist() == [3, 650]
    assert nearest(points, base[:3], 5).shape == (300, 3)


def neighbours_of(trained, net) -> tuple[np.ndarray, str]:
    made, final, _ = trained
    return mispredictions._neighbours(
        np.arange(20), replace(final, members=[net], counts=[1], folds=[0]), made.data, made.unseen
    )


def test_they_are_told_by_what_enters_the_last_matrix(trained):
    made, final, _ = trained
    net = final.members[1]
    index, by = neighbours_of(trained, net)
    assert by == "the input of the net's last matrix"
    hidden = nn.Sequential(*list(net.children())[:-1])
    with torch.no_grad():
        expected = nearest(hidden(made.data.val.x[:20]), hidden(made.data.train.x), 5)
    before = len(made.data.val) + len(made.unseen)
    assert np.array_equal(index[:20] - before, expected)
    assert (index[20:] == -1).all()


class Twice(nn.Module):
    """Its last matrix is used twice: what enters it is no feature of one input."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 10), nn.Linear(10, 10)

    def forward(self, x):
        return self.last(self.last(self.first(x.flatten(1))))


def test_without_such_a_matrix_by_the_inputs(trained):
    made, _, _ = trained
    convolution = nn.Sequential(nn.Conv2d(1, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    expected = nearest(made.data.val.x[:20].flatten(1), made.data.train.x.flatten(1), 5)
    for net in (convolution, Twice()):
        index, by = neighbours_of(trained, net)
        assert by == "the inputs"
        assert np.array_equal(index[:20] - len(made.data.val) - len(made.unseen), expected)


def test_many_features_are_projected_and_copies_stay_nearest(trained):
    made, final, _ = trained
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 3000), nn.Linear(3000, 10))
    train, val = made.data.train, made.data.val
    data = replace(made.data, val=Split(train.x[:20].clone(), train.y[:20], val.ids[:20]))
    index, _ = mispredictions._neighbours(
        np.arange(20), replace(final, members=[wide], counts=[1], folds=[0]), data, made.unseen
    )
    assert np.array_equal(index[:20, 0] - 20 - len(made.unseen), np.arange(20))


# ---- the page ----------------------------------------------------------------------------------------------------


def column(sent: dict, name: str) -> np.ndarray:
    found = next(c for c in sent["columns"] if c["name"] == name)
    data = values(found)
    return np.array(found["words"], object)[data] if found["kind"] == "text" else data


def test_the_page_has_val_and_test_and_train_as_neighbours_alone(trained, predicted):
    made, final, _ = trained
    sent = payload(page(predicted, FinalSystem(final, made.store), made.data, made.unseen, title="Digits", seed=0))
    shown, wrong = sent["shown"], column(sent, "wrong").astype(bool)
    split, ids = column(sent, "split"), column(sent, "id")
    unseen = len(made.data.val) + len(made.unseen)
    assert set(split[:unseen]) == {"val", "test"}
    assert set(split[unseen:]) == {"train"}
    assert set(ids[unseen:shown]) == {predicted[2].ids[i] for i in predicted[2].doubted}
    assert wrong[:unseen].sum() == predicted[0].wrong.sum() + predicted[1].wrong.sum()
    near = values(sent["neighbours"]).reshape(-1, 5)
    assert (near[:shown] >= unseen).all()
    assert (near[:shown] != np.arange(shown)[:, None]).all()  # none is its own neighbour
    proposed = {line["id"] for line in proposals(predicted)}
    shown_doubts = set(ids[:shown][column(sent, "doubted")[:shown] == 1])
    assert shown_doubts - set(made.unseen.ids) == proposed
    assert sent["initialFilter"] == {"wrong": ["yes"], "split": ["val", "test"]}
    assert (column(sent, "test")[:shown] == (column(sent, "split")[:shown] == "test")).all()
    truth = column(sent, "label") != column(sent, "predicted")
    assert (truth == wrong).all()
    assert sent["roles"]["order"] == "loss"


def test_every_wrong_answer_is_on_the_page_of_many(trained, predicted, monkeypatch):
    made, final, _ = trained
    monkeypatch.setattr(mispredictions, "MAX_EXAMPLES", 100)
    sent = payload(page(predicted, FinalSystem(final, made.store), made.data, made.unseen, title="Digits", seed=0))
    doubted = len(predicted[2].doubted)
    wrong = predicted[0].wrong.sum() + predicted[1].wrong.sum() + doubted
    assert column(sent, "wrong")[: sent["shown"]].sum() == wrong
    assert sent["shown"] == max(100, wrong + 20)
    assert re.search(
        rf"{sent['shown']} of {718 + doubted} examples: all {wrong} wrong and a random sample of the others",
        sent["counts"],
    )
    near = values(sent["neighbours"]).reshape(-1, 5)[: sent["shown"]]
    first = near[column(sent, "wrong")[: sent["shown"]] == 1, 0]
    assert (first >= 0).sum() >= sent["rows"] - sent["shown"] == sent["shown"] // 4


def test_the_same_system_writes_the_same_bytes(trained, tmp_path):
    made, final, _ = trained
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(a_run(tmp_path / folder), FinalSystem(final, made.store), made.data, made.unseen)
    for file in ("mispredictions.html", "suspects.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert list(read_csv(tmp_path / "one/suspects.csv")[0]) == COLUMNS


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_project_has_a_page(kind, tmp_path):
    made = KINDS[kind][0](tmp_path)
    final = system.load(made.system)
    (tmp_path / "out").mkdir()
    write(a_run(tmp_path / "out"), FinalSystem(final, made.store), made.data, made.unseen)
    sent = payload((tmp_path / "out/mispredictions.html").read_text())
    names = [c["name"] for c in sent["columns"]]
    assert {"id", "label", "predicted", "loss", "p_label", "confidence", "agreement", "split"} <= set(names)
    assert ("x_age" in names) == ("meta_who" in names) == (kind == "table")
    assert "name" in names
    assert len(MEMBERS) == len(final.members)
