"""Scores of the final system: by its size, by its confidence, beside the others, and after longer training."""

from recipe.metrics.calibration import Calibration, tempered
from recipe.metrics.scores import intervals, quality, reliability
from recipe.plots.style import ACCENT, BAD, COLOURS, FAINT, INK, drawing
from recipe.stages.ensemble.extended_training import Longer
from recipe.stages.ensemble.member_weights import Choice
from recipe.stages.ensemble.selection import MEASURES, Size, enough

GRID = "#e8ebee"
TITLES = {"accuracy": "accuracy", "nll": "negative log-likelihood", "ece": "calibration error"}
PERCENT = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)  # ticks


def sizes(path, found: list[Size], greedy: list[float]) -> None:
    """Score and calibration on val against the number of members: mean over subsets, 95 % interval over members."""
    at, last, least = [s.members for s in found], found[-1], enough(found)
    with drawing(path, width=10.4, height=3.4, ncols=3) as (_, axes):
        for axis, name in zip(axes, MEASURES, strict=True):
            ends = [s.low[name] for s in found], [s.high[name] for s in found]
            axis.fill_between(at, *ends, color=ACCENT, alpha=0.16, lw=0)
            axis.plot(at, [s.means[name] for s in found], "o-", ms=4, color=ACCENT, label="seeds of the best recipe")
            axis.set(title=f"{TITLES[name]} on val", xlabel="members", xticks=at)
            _gridded(axis)
        axes[0].yaxis.set_major_formatter(lambda v, _: f"{100 * v:.4g} %")
        nll = axes[1]
        nll.axhline(last.high["nll"], color=FAINT, ls="--", lw=1, label=f"the interval of {last.members} ends")
        nll.plot(least, found[least - 1].means["nll"], "o", ms=11, mfc="none", mec=BAD, label=f"enough: {least}")
        picks = range(1, len(greedy) + 1)
        nll.plot(picks, greedy, "s-", ms=3, lw=1, color=COLOURS[1], label="greedy picks, on what chose them")
        nll.set_xlim(0.5, last.members + 0.5)
        nll.legend(fontsize=7.5)


def reliabilities(path, p, y, choice: Choice, found: Calibration) -> None:
    """Accuracy against confidence of p (N, K), before and after the temperature; on the diagonal the probabilities mean
    what they say."""
    name = f"temperature {choice.fitted:.2f}" + ("" if choice.calibrated else ", which val refused")
    panels = [("members averaged", p, found.before), (name, tempered(p, choice.fitted), found.after)]
    with drawing(path, width=8.2, height=4.0, ncols=2, sharey=True) as (_, axes):
        for axis, (name, p, numbers) in zip(axes, panels, strict=True):
            rows = reliability(p, y)
            confidence, accuracy = [r[1] for r in rows], [r[2] for r in rows]
            axis.plot([0, 1], [0, 1], color=FAINT, ls="--", lw=1)
            axis.vlines(confidence, confidence, accuracy, color=BAD, lw=1, alpha=0.6)
            axis.scatter(
                confidence, accuracy, s=[14 + 420 * r[3] for r in rows], color=ACCENT, alpha=0.8, edgecolor="white",
                linewidth=0.6, zorder=3, clip_on=False,
            )  # fmt: skip
            text = "\n".join(
                f"{label} {v:.4f} [{low:.4f}, {high:.4f}]"
                for label, (v, low, high) in zip(("nll", "Brier", "ECE"), numbers.values(), strict=True)
            )
            axis.text(0.97, 0.03, text, transform=axis.transAxes, ha="right", fontsize=8, color=INK)
            axis.set(xlabel="confidence", title=name, xlim=(0, 1.03), ylim=(-0.03, 1.06))
            _gridded(axis)
        axes[0].set_ylabel(f"accuracy on {found.split}")


def longer(path, found: Longer | None) -> None:
    """Losses of both arms; the member's end, and in each arm the step that early stopping would have taken."""
    if not found:  # DVC wants every output to be there
        with drawing(path, width=4.0, height=0.5) as (_, axis):
            axis.axis("off")
            axis.set_title("left training: not asked for (longer: 0)")
        return
    with drawing(path, width=8.2, height=3.8) as (_, axis):
        for colour, (arm, lane) in zip(COLOURS, found.trained.items(), strict=False):
            steps = [r["step"] for r in lane.curve]
            axis.plot(steps, [r["train_loss"] for r in lane.curve], color=colour, lw=0.9, ls=":", alpha=0.9)
            axis.plot(steps, [r["val_loss"] for r in lane.curve], color=colour, lw=1.6, label=f"val, {arm}")
            best = lane.best_evaluation
            axis.plot(best["step"], best["val_loss"], "o", ms=8, mfc="none", mec=colour, mew=1.4)
        axis.plot([], [], color=INK, lw=0.9, ls=":", label="train")
        axis.plot([], [], "o", ms=8, mfc="none", mec=INK, label="lowest on val: early stopping")
        axis.axvline(found.steps, color=FAINT, ls="--", lw=1)
        place = {"xy": (found.steps, 1), "xytext": (4, -9), "xycoords": ("data", "axes fraction")}
        axis.annotate("the members end", textcoords="offset points", fontsize=8, color=INK, **place)
        axis.set(
            xlabel="step", ylabel="loss (nats)", yscale="log", title=f"left training: {found.times} times the steps"
        )
        axis.legend(fontsize=8)
        _gridded(axis)


def ladder(path, systems: list, y) -> None:
    """Accuracy and nll of every system on test, with 95 % intervals: Wilson's, and a bootstrap over examples."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    with drawing(path, width=10.0, height=0.42 * len(systems) + 1.2, ncols=2, sharey=True) as (_, axes):
        for i, system in enumerate(systems):
            found, colour = quality(system.p_test, y), ACCENT if system is systems[-1] else INK
            of_nll = intervals(system.p_test, y)["nll"]
            panels = [(found.accuracy, found.interval(), "{:.1%}"), (found.nll, of_nll, "{:.4f}")]
            for axis, (value, ends, shown) in zip(axes, panels, strict=True):
                # an accuracy of 0 or 1 has no place on its scale
                least, most = (0.25 / len(y), 1 - 0.25 / len(y)) if axis is axes[0] else (1e-6, float("inf"))
                at, *ends = (min(max(v, least), most) for v in (value, *ends))
                axis.plot(ends, [i, i], color=colour, lw=2.2 if colour == ACCENT else 1.2, alpha=0.75)
                axis.plot(at, i, "o", ms=7 if colour == ACCENT else 5, color=colour)
                place = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center"}
                axis.annotate(shown.format(value), (at, i), fontsize=7.5, **place)
        axes[0].set_yticks(range(len(systems)), [s.name for s in systems])
        axes[0].get_yticklabels()[-1].set(color=ACCENT, weight="bold")
        axes[0].set(xscale="logit", title="accuracy on test", ylim=(len(systems) - 0.5, -0.7))
        axes[0].xaxis.set_major_locator(FixedLocator(PERCENT))
        axes[0].xaxis.set_minor_locator(NullLocator())
        axes[0].xaxis.set_major_formatter(lambda v, _: f"{100 * v:g} %")
        axes[1].set(xscale="log", title="negative log-likelihood on test (nats)")
        axes[1].xaxis.set_minor_formatter(NullFormatter())
        for axis in axes:
            _gridded(axis, "x")
            axis.tick_params(axis="y", length=0)


def _gridded(axis, along: str = "both") -> None:
    axis.grid(color=GRID, lw=0.6, axis=along)
    axis.set_axisbelow(True)
