"""Scores of the final system: by its size, by its confidence, beside the others, and after longer training."""

from recipe.calibration import Calibration
from recipe.figures.style import ACCENT, BAD, COLOURS, FAINT, INK, drawing
from recipe.longer import Longer
from recipe.quality import intervals, quality, reliability
from recipe.selection import MEASURES, Size, enough

GRID = "#e8ebee"
TITLES = {"accuracy": "accuracy", "nll": "negative log-likelihood", "ece": "calibration error"}
PERCENT = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)  # ticks


def sizes(path, found: list[Size], greedy: list[float]) -> None:
    """Score and calibration on val against the number of members: mean over subsets, 95 % interval over members."""
    with drawing(path, width=10.4, height=3.4, ncols=3) as (_, axes):
        for axis, name in zip(axes, MEASURES, strict=True):
            at = [s.members for s in found]
            axis.fill_between(
                at, [s.low[name] for s in found], [s.high[name] for s in found], color=ACCENT, alpha=0.16, lw=0
            )
            axis.plot(
                at, [s.means[name] for s in found], "o-", ms=4, color=ACCENT, label="seeds of the best recipe, mean"
            )
            axis.set(title=TITLES[name], xlabel="members", xticks=at)
            axis.grid(color=GRID, lw=0.6)
            axis.set_axisbelow(True)
        nll, least = axes[1], enough(found)
        nll.axhline(
            found[-1].high["nll"], color=FAINT, ls="--", lw=1, label=f"end of the interval of {found[-1].members}"
        )
        nll.plot(least, found[least - 1].means["nll"], "o", ms=11, mfc="none", mec=BAD, label=f"enough: {least}")
        nll.plot(
            range(1, len(greedy) + 1), greedy, "s-", ms=3, lw=1, color=COLOURS[1], label="greedy picks (val chose them)"
        )
        nll.legend(fontsize=7.5)


def reliabilities(path, before, after, y, temperature: float, found: Calibration) -> None:
    """Accuracy against confidence, before and after; on the diagonal the probabilities mean what they say."""
    with drawing(path, width=8.2, height=4.0, ncols=2, sharey=True) as (_, axes):
        panels = [("as averaged", before, found.before), (f"with temperature {temperature:.2f}", after, found.after)]
        for axis, (name, p, numbers) in zip(axes, panels, strict=True):
            rows = reliability(p, y)
            axis.plot([0, 1], [0, 1], color=FAINT, ls="--", lw=1)
            axis.vlines([r[1] for r in rows], [r[1] for r in rows], [r[2] for r in rows], color=BAD, lw=1, alpha=0.6)
            axis.scatter(
                [r[1] for r in rows], [r[2] for r in rows], s=[14 + 420 * r[3] for r in rows], color=ACCENT, alpha=0.8,
                edgecolor="white", linewidth=0.6, zorder=3,
            )  # fmt: skip
            text = "\n".join(
                f"{label} {v:.4f} [{low:.4f}, {high:.4f}]"
                for label, (v, low, high) in zip(("nll", "Brier", "ECE"), numbers.values(), strict=True)
            )
            axis.text(0.03, 0.97, text, transform=axis.transAxes, va="top", fontsize=8, color=INK)
            axis.set(xlabel="confidence", title=name, xlim=(0, 1.03), ylim=(-0.03, 1.06))
            axis.grid(color=GRID, lw=0.6)
            axis.set_axisbelow(True)
        axes[0].set_ylabel(f"accuracy on {found.split}")


def longer(path, found: Longer) -> None:
    """Losses of both arms; the member's end, and in each arm the step that early stopping would have taken."""
    with drawing(path, width=8.2, height=3.8) as (_, axis):
        for colour, (arm, lane) in zip(COLOURS, found.trained.items(), strict=False):
            steps = [r["step"] for r in lane.curve]
            axis.plot(steps, [r["train_loss"] for r in lane.curve], color=colour, lw=0.9, ls=":", alpha=0.9)
            axis.plot(steps, [r["val_loss"] for r in lane.curve], color=colour, lw=1.6, label=f"val, {arm}")
            best = lane.curve[lane.best_row]
            axis.plot(best["step"], best["val_loss"], "o", ms=8, mfc="none", mec=colour, mew=1.4)
        axis.plot([], [], color=INK, lw=0.9, ls=":", label="train")
        axis.plot([], [], "o", ms=8, mfc="none", mec=INK, label="lowest on val")
        axis.axvline(found.steps, color=FAINT, ls="--", lw=1)
        axis.annotate("the members end", (found.steps, 1), (4, -9), ("data", "axes fraction"), textcoords="offset points",
                      fontsize=8, color=INK)  # fmt: skip
        axis.set(xlabel="step", ylabel="loss (nats)", yscale="log", title="left training")
        axis.grid(color=GRID, lw=0.6)
        axis.legend(fontsize=8)


def ladder(path, systems: list, y) -> None:
    """Accuracy and nll of every system on test, with 95 % intervals: Wilson's, and a bootstrap over examples."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    least = 0.25 / len(y)  # where an accuracy of 1 is drawn
    with drawing(path, width=10.0, height=0.42 * len(systems) + 1.2, ncols=2, sharey=True) as (_, axes):
        for i, system in enumerate(systems):
            found = quality(system.p_test, y)
            last = system is systems[-1]
            style = {"color": ACCENT if last else INK, "lw": 2.0 if last else 1.2}
            panels = [(found.accuracy, found.interval()), (found.nll, intervals(system.p_test, y)["nll"])]
            for axis, (value, ends), name in zip(axes, panels, ("accuracy", "nll"), strict=True):
                inside = [min(max(v, least), 1 - least) if name == "accuracy" else v for v in (value, *ends)]
                axis.plot(inside[1:], [i, i], solid_capstyle="round", alpha=0.75, **style)
                axis.plot(inside[0], i, "o", ms=7 if last else 5, color=style["color"])
                shown = f"{value:.1%}" if name == "accuracy" else f"{value:.4f}"
                axis.annotate(shown, (inside[0], i), (0, 6), textcoords="offset points", ha="center", fontsize=7.5)
        axes[0].set_yticks(range(len(systems)), [s.name for s in systems])
        axes[0].get_yticklabels()[-1].set(color=ACCENT, weight="bold")
        axes[0].set(xscale="logit", title="accuracy on test", ylim=(len(systems) - 0.5, -0.7))
        axes[0].xaxis.set_major_locator(FixedLocator(PERCENT))
        axes[0].xaxis.set_minor_locator(NullLocator())
        axes[0].xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
        axes[1].set(xscale="log", title="negative log-likelihood on test (nats)")
        axes[1].xaxis.set_minor_formatter(NullFormatter())
        for axis in axes:
            axis.grid(color=GRID, lw=0.6, axis="x")
            axis.set_axisbelow(True)
            axis.tick_params(axis="y", length=0)
