"""The figures of the final system: by size, by confidence, against other systems, and after extended training."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from recipe.data.batches import Data, Split
from recipe.formatting import interval
from recipe.metrics.metric import Metric
from recipe.metrics.resampling import percentiles
from recipe.metrics.scores import bootstrap, reliability
from recipe.plots.sheets import pictures
from recipe.plots.style import ACCENT, BAD, COLOURS, FAINT, INK, drawing
from recipe.plots.text_lines import text_lines
from recipe.plots.training import line
from recipe.stages.ensemble import quantity_figures
from recipe.stages.ensemble.extended_training import ExtendedTraining
from recipe.stages.ensemble.final_evaluation import ScoredSystem, worst_shown
from recipe.stages.ensemble.results import Results
from recipe.stages.ensemble.selection import CALIBRATION_ERROR, LOSS, EnsembleSize, enough
from recipe.tasks.task import Task

GRID = "#e8ebee"
MOST_TARGETS = 40  # lines of a picture
PERCENT = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)  # ticks


def draw(out: Path, r: Results, data: Data, test: Split) -> None:
    size_curves(out / "sizes.png", r.sizes, r.weights.greedy_path, r.metric, r.task.loss_name)
    systems(out / "systems.png", r.task, r.metric, r.systems, r.actual_test)
    extended_training(out / "longer.png", r.extended)
    shares(out / "per_target.png", r.per_target, r.answers.shares)
    if r.coverage:
        quantity_figures.draw(out, r)
    else:
        reliabilities(out / "reliability.png", r)
        wrong, shown = worst_shown(r.answers, r.final.p_test, test, data)
        if test.texts:
            text_lines(out / "mispredictions.png", [test.texts[i] for i in wrong], shown)
        else:
            pictures(out / "mispredictions.png", data.pictures_of(test, wrong), shown, columns=8)


def size_curves(path: Path, sizes: list[EnsembleSize], greedy: list[float], metric: Metric, loss: str) -> None:
    """The measures on val against the number of members: mean over subsets, 95 % CI over members."""
    at, last, least = [s.members for s in sizes], sizes[-1], enough(sizes)
    titles = {metric.name: metric.title, LOSS: loss, CALIBRATION_ERROR: "expected calibration error"}
    with drawing(path, width=3.45 * len(last.means), height=3.4, ncols=len(last.means)) as (_, axes):
        for axis, name in zip(axes, last.means, strict=True):
            ends = [s.low[name] for s in sizes], [s.high[name] for s in sizes]
            axis.fill_between(at, *ends, color=ACCENT, alpha=0.16, lw=0)
            axis.plot(at, [s.means[name] for s in sizes], "o-", ms=4, color=ACCENT, label="seeds of the best recipe")
            axis.set(title=f"{titles[name]} on validation", xlabel="members", xticks=at)
            gridded(axis)
        if metric.percent:
            axes[0].yaxis.set_major_formatter(lambda v, _: f"{100 * v:.4g} %")
        losses = axes[1]
        losses.axhline(
            last.high[LOSS], color=FAINT, ls="--", lw=1, label=f"upper end of the 95 % CI, {last.members} members"
        )
        losses.plot(least, sizes[least - 1].means[LOSS], "o", ms=11, mfc="none", mec=BAD, label=f"enough: {least}")
        picks = range(1, len(greedy) + 1)
        losses.plot(
            picks, greedy, "s-", ms=3, lw=1, color=COLOURS[1], label="greedy picks, on the data that chose them"
        )
        losses.set_xlim(0.5, last.members + 0.5)
        losses.legend(fontsize=7.5)


def reliabilities(path: Path, r: Results) -> None:
    """Accuracy against confidence on test, before and after the calibration; equal for calibrated probabilities."""
    p, effect = r.averaged.p_test, r.calibration_on_test
    name = "calibrated" + ("" if r.weights.calibrated else ", not used")
    after = r.task.calibrated(p, r.weights.fitted)
    with drawing(path, width=8.2, height=4.0, ncols=2, sharey=True) as (_, axes):
        panels = [("members averaged", p, effect.before), (name, after, effect.after)]
        for axis, (title, shown, measures) in zip(axes, panels, strict=True):
            rows = reliability(*r.answers.claims(shown, r.actual_test))
            confidence, accuracy = [row[1] for row in rows], [row[2] for row in rows]
            axis.plot([0, 1], [0, 1], color=FAINT, ls="--", lw=1)
            axis.vlines(confidence, confidence, accuracy, color=BAD, lw=1, alpha=0.6)
            axis.scatter(
                confidence, accuracy, s=[14 + 420 * row[3] for row in rows], color=ACCENT, alpha=0.8,
                edgecolor="white", linewidth=0.6, zorder=3, clip_on=False,
            )  # fmt: skip
            text = "\n".join(
                f"{label} {v:.4f} ({interval(low, high, decimals=4)})" for label, (v, low, high) in measures.items()
            )
            axis.text(0.97, 0.03, text, transform=axis.transAxes, ha="right", fontsize=8, color=INK)
            axis.set(xlabel="confidence", title=title, xlim=(0, 1.03), ylim=(-0.03, 1.06))
            gridded(axis)
        axes[0].set_ylabel("accuracy on test")


def shares(path: Path, rows: list[dict[str, str | float]], names: Sequence[str]) -> None:
    """A panel for each share, a line for each class, label or quantity, with 95 % CI; the lowest of many."""
    known = [row for row in rows if isinstance(row[names[0]], float)]
    shown = sorted(known, key=lambda row: float(row[names[0]]))[:MOST_TARGETS]
    titles = [next(iter(row.values())) for row in shown]
    with drawing(path, width=3.2 * len(names) + 1.4, height=0.24 * len(shown) + 1.2, ncols=len(names), squeeze=False,
                 sharey=True) as (_, axes):  # fmt: skip
        for axis, name in zip(axes[0], names, strict=True):
            for i, row in enumerate(shown):
                value = row[name]
                low, high = row.get(f"{name}_low", value), row.get(f"{name}_high", value)
                if value != "":
                    axis.plot([low, high], [i, i], color=ACCENT, lw=1.4, alpha=0.7)
                    axis.plot(value, i, "o", ms=5, color=ACCENT)
            axis.set(title=f"{name.replace('_', ' ')} on test", xlim=(-0.02, 1.02), ylim=(len(shown) - 0.5, -0.5))
            gridded(axis, "x")
            axis.tick_params(axis="y", length=0)
        axes[0][0].set_yticks(range(len(shown)), titles)


def extended_training(path: Path, extended: ExtendedTraining | None) -> None:
    """Losses of both arms; the end of the member's training, and the evaluation that early stopping would choose."""
    if not extended:  # DVC requires every output
        with drawing(path, width=4.0, height=0.5) as (_, axis):
            axis.axis("off")
            axis.set_title("extended training is off (longer: 0)")
        return
    with drawing(path, width=8.2, height=3.8) as (_, axis):
        for colour, (arm, lane) in zip(COLOURS, extended.trained.items(), strict=False):
            passes = [r["epoch"] for r in lane.curve]
            line(axis, lane.curve, "train_loss", color=colour, lw=0.9, ls=":", alpha=0.9)
            axis.plot(passes, [r["val_loss"] for r in lane.curve], color=colour, lw=1.6, label=f"validation, {arm}")
            best = lane.best_evaluation
            axis.plot(best["epoch"], best["val_loss"], "o", ms=8, mfc="none", mec=colour, mew=1.4)
        axis.plot([], [], color=INK, lw=0.9, ls=":", label="training")
        axis.plot(
            [],
            [],
            "o",
            ms=8,
            mfc="none",
            mec=INK,
            label=f"{extended.early.best} {extended.early.title}: early stopping",
        )
        axis.axvline(extended.epochs, color=FAINT, ls="--", lw=1)
        place = {"xy": (extended.epochs, 1), "xytext": (4, -9), "xycoords": ("data", "axes fraction")}
        axis.annotate("end of the members' training", textcoords="offset points", fontsize=8, color=INK, **place)
        axis.set(xlabel="passes", ylabel="loss", yscale="log", title=f"trained for {extended.times} times the passes")
        axis.legend(fontsize=8)
        gridded(axis)


def systems(path: Path, task: Task, metric: Metric, rows: list[ScoredSystem], actual: Tensor) -> None:
    """Metric and loss of every system on test, with 95 % CI over examples."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator  # here, as in recipe.plots.style

    with drawing(path, width=10.0, height=0.42 * len(rows) + 1.2, ncols=2, sharey=True) as (_, axes):
        for i, system in enumerate(rows):
            colour = ACCENT if system is rows[-1] else INK
            p, losses = system.p_test, task.losses(system.p_test, actual)
            loss_interval = percentiles(bootstrap(losses.unsqueeze(1))[:, 0])
            panels = [
                (metric.of(p, actual), metric.interval(p, actual), metric.shown),
                (losses.mean().item(), loss_interval, "{:.4f}".format),
            ]
            for axis, (value, ends, shown) in zip(axes, panels, strict=True):
                least, most = (-float("inf"), float("inf")) if axis is axes[0] else (1e-6, float("inf"))
                if axis is axes[0] and metric.percent:  # 0 and 1 have no place on a logit scale
                    least, most = 0.25 / len(actual), 1 - 0.25 / len(actual)
                at, low, high = (min(max(v, least), most) for v in (value, *ends))
                axis.plot([low, high], [i, i], color=colour, lw=2.2 if colour == ACCENT else 1.2, alpha=0.75)
                axis.plot(at, i, "o", ms=7 if colour == ACCENT else 5, color=colour)
                place = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center"}
                axis.annotate(shown(value), (at, i), fontsize=7.5, **place)
        axes[0].set_yticks(range(len(rows)), [s.name for s in rows])
        axes[0].get_yticklabels()[-1].set(color=ACCENT, weight="bold")
        axes[0].set(title=f"{metric.title} on test, 95 % CI", ylim=(len(rows) - 0.5, -0.7))
        if metric.percent:
            axes[0].set_xscale("logit")
            axes[0].xaxis.set_major_locator(FixedLocator(PERCENT))
            axes[0].xaxis.set_minor_locator(NullLocator())
            axes[0].xaxis.set_major_formatter(lambda v, _: f"{100 * v:g} %")
        axes[1].set(xscale="log", title=f"{task.loss_name} on test, 95 % CI")
        axes[1].xaxis.set_minor_formatter(NullFormatter())
        for axis in axes:
            gridded(axis, "x")
            axis.tick_params(axis="y", length=0)


def gridded(axis, along: str = "both") -> None:
    axis.grid(color=GRID, lw=0.6, axis=along)
    axis.set_axisbelow(True)
