"""What the ensemble stage found: its tables, pictures and sentences, and what its checks look at."""

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig

from recipe.data.batches import Data, Split
from recipe.experiment.arms import score
from recipe.files import read_table, read_yaml, write_csv
from recipe.metrics.calibration import Calibration, calibration
from recipe.metrics.comparison import Comparison
from recipe.metrics.power import share_saved
from recipe.metrics.scores import nlls, quality, weighted
from recipe.stages.ensemble import final_evaluation
from recipe.stages.ensemble import member_weights as choosing
from recipe.stages.ensemble.checks import Final
from recipe.stages.ensemble.extended_training import COLUMNS, Longer
from recipe.stages.ensemble.final_evaluation import System
from recipe.stages.ensemble.member_weights import Choice
from recipe.stages.ensemble.members import BEST, Member, said
from recipe.stages.ensemble.selection import Size, enough, sizes
from recipe.stages.ensemble.selection import told as told_sizes


@dataclass(frozen=True)
class Squeezed:
    pool: list[Member]
    choice: Choice
    longer: Longer | None
    student: Member | None
    sizes: list[Size]
    systems: list[System]  # the final one last
    versus: list[Comparison]
    on_val: Calibration
    on_test: Calibration
    y_val: torch.Tensor
    y_test: torch.Tensor

    @property
    def final(self) -> System:
        return self.systems[-1]

    @property
    def averaged(self) -> System:
        """The final system without its temperature."""
        return next(s for s in self.systems if s.name == self.choice.name)

    def of(self, name: str) -> Comparison:
        """The final system against the one of that name."""
        return next(v for v in self.versus if v.system == self.final.name and v.other == name)


def measured(
    cfg: DictConfig, data: Data, test: Split, pool: list[Member], choice: Choice, longer: Longer | None,
    student: Member | None, out: Path, baselines: Path = Path("runs/baseline/baselines"),
) -> Squeezed:  # fmt: skip
    """Everything on test at once, with a choice that is made."""
    y_val, y_test = data.val.y.cpu(), test.y.cpu()
    p_test = torch.stack([said(cfg, data, m.changes, out / m.file, test) for m in pool])
    found = final_evaluation.systems(cfg, data, test, pool, p_test, choice, student, out, baselines)
    averaged = next(s for s in found if s.name == choice.name)
    agreement = final_evaluation.agreement(p_test, choice.times, averaged.p_test)
    final_evaluation.write_predictions(out / "predictions.parquet", test, data.classes, found, agreement)
    return Squeezed(
        pool, choice, longer, student, sizes(choosing.stacked(pool)[: choosing.seeds_of(pool)], y_val, cfg.seed), found,
        final_evaluation.comparisons(found, y_test), calibration("val", averaged.p_val, choice.fitted, y_val),
        calibration("test", averaged.p_test, choice.fitted, y_test), y_val, y_test,
    )  # fmt: skip


def subject(data: Data, test: Split, s: Squeezed, out: Path, fresh: torch.Tensor) -> Final:
    """What the checks look at: tables as they lie on disk, not as they are in memory.

    fresh: (N, K) what the system on disk says of the test examples.
    """
    saved = read_table(out / "predictions.parquet")
    used = {*data.train.ids, *data.val.ids}
    p_val = choosing.stacked(s.pool)
    again = choosing.choose(p_val, s.y_val, choosing.seeds_of(s.pool))
    return Final(
        saved=torch.tensor([[row[f"p_{c}"] for c in data.classes] for row in saved], dtype=torch.float64),
        fresh=fresh,
        expected=len(test),
        overlap=sum(name in used for name in test.ids),
        written=read_yaml(out / "choice.yaml"),
        again=choosing.content(again, s.pool),
        members=choosing.best_member(s.pool, s.y_val)[1],
        together=quality(weighted(p_val, s.choice.times), s.y_val),
        held_out=s.choice.held_out[s.choice.name],
        calibration=s.on_val,
        test=quality(s.final.p_test, s.y_test),
        over_constant=share_saved(nlls(s.final.p_test, s.y_test), nlls(s.systems[0].p_test, s.y_test)),
        on_val=share_saved(nlls(s.final.p_val, s.y_val), nlls(s.systems[0].p_val, s.y_val)),
        columns=data.train.x.ndim == 2,
        untuned=s.of(next(x.name for x in s.systems if x.name.endswith(final_evaluation.UNTUNED))),
        longer=s.longer,
    )


def tables(s: Squeezed, out: Path) -> None:
    write_csv(out / "sizes.csv", [size.row() for size in s.sizes])
    write_csv(out / "calibration.csv", s.on_val.rows() + s.on_test.rows())
    write_csv(out / "comparisons.csv", [v.row() for v in s.versus])
    write_csv(out / "longer.csv", s.longer.rows() if s.longer else [], COLUMNS)


def scores(s: Squeezed) -> list[dict]:
    """Rows of the score ladder: what training and validation say of one member, then every system on test."""
    seeds = s.pool[: choosing.seeds_of(s.pool)]
    alone = score(f"{BEST}, one member", [m.row() for m in seeds])
    return [alone, *[system.score(s.y_val, s.y_test) for system in s.systems]]


def predictions(s: Squeezed) -> list[dict]:
    first, last = s.sizes[0].means["nll"], s.sizes[-1].means["nll"]
    found = [{
        "change": f"1 → {s.sizes[-1].members} members",
        "expected": "val_nll falls",  # Lakshminarayanan et al. 2017
        "measured": f"{first:.4f} (mean member) → {last:.4f}",
        "outcome": "confirmed" if last < first else "refuted",
    }]  # fmt: skip
    if s.student:
        better = next(v for v in s.versus if v.system == final_evaluation.STUDENT)
        found.append({
            "change": f"{s.choice.name} → one network, distilled",
            "expected": "test_nll below the best member's",
            "measured": f"{better.nll[0]:+.4f} [{better.nll[1]:+.4f}, {better.nll[2]:+.4f}] over test examples",
            "outcome": "confirmed" if better.significant else "refuted",
        })  # fmt: skip
    return found + ([s.longer.prediction()] if s.longer else [])


def metrics(s: Squeezed) -> dict[str, float]:
    val, test = quality(s.final.p_val, s.y_val), quality(s.final.p_test, s.y_test)
    low, high = test.interval()
    return {
        "test_accuracy": test.accuracy, "test_accuracy_low": low, "test_accuracy_high": high, "test_nll": test.nll,
        "test_brier": test.brier, "test_ece": test.ece, "val_accuracy": val.accuracy, "val_nll": val.nll,
        "temperature": s.choice.temperature, "members": sum(n > 0 for n in s.choice.times),
        "members_enough": enough(s.sizes),
    }  # fmt: skip


def findings(s: Squeezed) -> list[str]:
    """A sentence each; the first is the result."""
    test = quality(s.final.p_test, s.y_test)
    low, high = test.interval()
    networks = f"{s.final.networks} network{'s' if s.final.networks > 1 else ''}"
    found = [
        f"{s.final.name} ({networks}): {test.accuracy:.1%} on test (95 % interval {low:.1%} to {high:.1%}), nll "
        f"{test.nll:.4f}, n = {test.count}.",
        choosing.told(s.choice, s.pool),
        told_sizes(s.sizes),
        _told_calibration(s),
    ]
    named = [
        v
        for v in s.versus
        if v.other in (final_evaluation.BEST_MEMBER, final_evaluation.STUDENT)
        or v.other.endswith(final_evaluation.UNTUNED)
    ]
    found += [f"On test, {v.sentence()}." for v in named]
    return found + ([s.longer.told()] if s.longer else [])


def _told_calibration(s: Squeezed) -> str:
    def arrow(c: Calibration, name: str) -> str:
        return f"{c.before[name][0]:.4f} → {c.after[name][0]:.4f}"

    val, test = s.on_val, s.on_test
    fall = "nll lower by {:+.4f} [{:+.4f}, {:+.4f}]".format(*test.fall)
    return (
        f"The temperature fitted to val, {s.choice.fitted:.2f}, {'is' if s.choice.calibrated else 'is not'} used: nll "
        f"{arrow(val, 'nll')} on val, which chose it, {arrow(test, 'nll')} on test ({fall}); calibration error "
        f"{arrow(val, 'ece')} and {arrow(test, 'ece')}."
    )
