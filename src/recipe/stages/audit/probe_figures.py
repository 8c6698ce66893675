"""What the linear probes of the audit saw."""

from recipe.plots.style import ACCENT, BAD, FAINT, INK, drawing


def resolution_curve(path, curve: list[tuple[float, float, float, float]], margin: float) -> None:
    """Accuracy of the linear probe against size, from (size, accuracy, low, high) of each, the largest first.

    The bars are intervals of the difference to full size, blue where all of it is above the dashed line: the size costs
    less than `margin` points.
    """
    with drawing(path, width=5.6, height=3.6) as (_, axis):
        full = curve[0][1]
        at = range(len(curve))
        axis.axhline(full - margin, color=BAD, lw=1, ls="--")
        note = {"textcoords": "offset points", "color": BAD, "fontsize": 8}
        axis.annotate(f"{margin:g} points below full size", (0, full - margin), (-4, -11), **note)
        for i, (_, _, low, high) in enumerate(curve):
            enough = i == 0 or low > full - margin
            axis.plot([i, i], [low, high], color=ACCENT if enough else FAINT, lw=5, solid_capstyle="butt")
        axis.plot(at, [point[1] for point in curve], "o-", color=INK, lw=0.8, ms=3.5)
        axis.set_xticks(at, [f"{point[0]:g}" for point in curve])
        axis.margins(y=0.15)
        axis.set(xlabel="longer side (pixels)", ylabel="accuracy (%)", title="what a linear probe sees at each size")


def variations(path, rows: list[tuple[str, float, float, float | None]]) -> None:
    """Each way in which images vary, from (name, share of variance %, label gain, what its removal adds or None).

    At the right and low: much variation that tells nothing of the class, worth taking out where it costs nothing.
    """
    with drawing(path, width=6.8, height=4.4) as (figure, axis):
        axis.axhline(0, color=FAINT, lw=0.8)
        known = [row[3] for row in rows if row[3] is not None]
        reach = max([abs(cost) for cost in known] + [2.0])
        for name, share, gain, cost in rows:
            if cost is None:
                axis.plot(share, gain, "o", ms=7, mfc="none", mec=FAINT)
            else:
                dot = axis.scatter(share, gain, s=85, c=[cost], cmap="RdBu", vmin=-reach, vmax=reach, ec=INK, lw=0.6)
            axis.annotate(name, (share, gain), (7, 4), textcoords="offset points", fontsize=8)
        if known:
            figure.colorbar(dot, ax=axis, pad=0.01, label="points that its removal adds")
        axis.margins(x=0.2, y=0.15)
        axis.set_xlim(left=min(-1.0, *(row[1] - 1 for row in rows)))
        axis.set(xlabel="share of the variance of the pixels (%)", ylabel="label gain (points over chance)")
        axis.set_title("how images vary, and what it tells of the class (rings: not taken out)")
