"""Scores of an ensemble: by its size, and by its confidence."""

from recipe.figures.style import ACCENT, COLOURS, FAINT, drawing


def ensemble_sizes(path, rows: list[dict]) -> None:
    """Accuracy, log-likelihood and calibration against the number of members, val and test."""
    panels = {"accuracy": "accuracy", "nll": "negative log-likelihood", "ece": "calibration error"}
    with drawing(path, width=9.6, height=3.0, ncols=3) as (_, axes):
        for axis, (metric, title) in zip(axes, panels.items(), strict=True):
            for colour, split in zip(COLOURS, ("val", "test"), strict=False):
                sizes = [r["members"] for r in rows]
                axis.plot(sizes, [r[f"{split}_{metric}"] for r in rows], "o-", ms=4, color=colour, label=split)
            axis.set(title=title, xlabel="members", xticks=[r["members"] for r in rows])
        axes[0].legend()


def reliability(path, rows: list[tuple[int, float, float, float]]) -> None:
    """Accuracy against confidence; on the diagonal the probabilities mean what they say."""
    with drawing(path, width=4.0, height=3.8) as (_, axis):
        axis.plot([0, 1], [0, 1], color=FAINT, ls="--", lw=1)
        axis.scatter(
            [r[1] for r in rows],
            [r[2] for r in rows],
            s=[20 + 400 * r[3] for r in rows],
            color=ACCENT,
            alpha=0.8,
        )
        axis.set(
            xlabel="confidence",
            ylabel="accuracy",
            title="reliability on test",
            xlim=(0, 1.03),
            ylim=(-0.02, 1.05),
        )
