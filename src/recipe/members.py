"""The members of the final ensemble: trained, saved, averaged, and read back."""

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from recipe import build, ensemble
from recipe.checks.ensemble import Final
from recipe.data.batches import Data, Part
from recipe.data.store import Store
from recipe.ensemble import Quality, averages, quality
from recipe.files import read_csv
from recipe.floors import score
from recipe.system import System
from recipe.train.lane import Trained


@dataclass
class Team:
    """M members: probabilities (M, N, K) on val and test, and the quality of the first 1..M averaged."""

    changes: dict
    seeds: list[int]
    trained: list[Trained]
    p_val: Tensor
    p_test: Tensor
    sizes: list[dict]
    members: list[Quality]  # each by itself, on val
    val: Quality
    test: Quality
    early_stopping: bool

    @property
    def chosen(self) -> list[tuple[dict, dict[str, Tensor], int]]:
        """What a saved system is made of: changes, weights, how often the member counts."""
        return [(self.changes, result.weights(self.early_stopping), 1) for result in self.trained]

    def predictions(self, data: Data) -> list[dict]:
        return ensemble.predictions(data.test.ids, data.test.y, self.p_test.mean(0), data.classes)

    def reliability(self, data: Data) -> list:
        return ensemble.reliability(self.p_test.mean(0), data.test.y.cpu())

    def prediction(self) -> dict:
        """Lakshminarayanan et al. 2017: the mean of members that differ in their seed is better calibrated."""
        alone = sum(m.nll for m in self.members) / len(self.members)
        return {
            "change": f"1 → {len(self.members)} members",
            "expected": "val_nll falls",
            "measured": f"{alone:.4f} (mean member) → {self.val.nll:.4f}",
            "outcome": "confirmed" if self.val.nll < alone else "refuted",
        }

    def scores(self) -> list[dict]:
        low, high = self.test.interval()
        one = score("best recipe, one member", [t.row(self.early_stopping) for t in self.trained])
        together = {
            "system": f"ensemble of {len(self.members)}", "seeds": len(self.members),
            "val_loss": self.val.nll, "val_accuracy": self.val.accuracy, "test_loss": self.test.nll,
            "test_accuracy": self.test.accuracy, "test_low": low, "test_high": high,
        }  # fmt: skip
        return [one, together]


def _probabilities(model, part: Part) -> Tensor:
    model.eval()
    with torch.no_grad():
        return torch.cat([model(x) for x in part.x.split(1000)]).double().softmax(1).cpu()


def train_members(cfg: DictConfig, data: Data, changes: dict, run) -> Team:
    """The configuration over `cfg.members` seeds."""
    seeds = [100 * cfg.seed + 50 + i for i in range(cfg.members)]  # none of them chose the configuration
    early = bool(changes.get("train.early_stopping", cfg.train.early_stopping))
    lanes = [build.lane(cfg, data, seed, changes) for seed in seeds]
    trained, val, test = build.train(cfg, data, lanes, run, "members"), [], []
    for i, (seed, lane, result) in enumerate(zip(seeds, lanes, trained, strict=True)):
        lane.model.load_state_dict(result.weights(early))
        run.lane(f"member {i}", result, {**changes, "seed": seed}, early_stopping=early, main=i == 0)
        val.append(_probabilities(lane.model, data.val))
        test.append(_probabilities(lane.model, data.test))
    p_val, p_test = torch.stack(val), torch.stack(test)
    y_val, y_test = data.val.y.cpu(), data.test.y.cpu()
    on_val, on_test = ([quality(p, y) for p in averages(m)] for m, y in ((p_val, y_val), (p_test, y_test)))
    sizes = [
        {"members": i + 1}
        | {f"val_{k}": getattr(v, k) for k in ("accuracy", "nll", "ece")}
        | {f"test_{k}": getattr(t, k) for k in ("accuracy", "nll", "ece")}
        for i, (v, t) in enumerate(zip(on_val, on_test, strict=True))
    ]
    alone = [quality(p, y_val) for p in p_val]
    return Team(changes, seeds, trained, p_val, p_test, sizes, alone, on_val[-1], on_test[-1], early)


def final_of(data: Data, team: Team, out: Path, final: System, store: Store) -> Final:
    """What the checks look at: the table and the system as they lie on disk, and the inputs as they are stored."""
    saved = torch.tensor(
        [[float(row[f"p_{c}"]) for c in data.classes] for row in read_csv(out / "predictions.csv")],
        dtype=torch.float64,
    )
    used = {*data.train.ids, *data.val.ids}
    shares = torch.bincount(data.train.y.cpu(), minlength=len(data.classes))
    floor = (data.test.y.cpu() == shares.argmax()).float().mean().item()
    overlap = sum(name in used for name in data.test.ids)
    return Final(
        saved,
        final.predict(store.inputs[store.rows(data.test.ids)]),
        len(data.test),
        overlap,
        team.members,
        team.val,
        floor,
    )


def mispredicted(team: Team, data: Data, most: int = 48) -> tuple[Tensor, list[str]]:
    """(pictures, titles `label → answer, confidence`) of the wrong answers on test, the most confident first."""
    p = team.p_test.mean(0)
    index = ensemble.worst_first(p, data.test.y.cpu())[:most]
    confidence, guess = p[index].max(1)
    titles = [
        f"{data.classes[int(y)]} → {data.classes[int(g)]}  {c:.0%}"
        for y, g, c in zip(data.test.y.cpu()[index], guess, confidence, strict=True)
    ]
    return data.pictures(data.test.x[index]), titles
