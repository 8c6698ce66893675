"""A search: how soon it found what, and which keys mattered."""

from recipe.figures.style import ACCENT, COLOURS, FAINT, drawing


def searches(path, best: dict[str, list[float]], reference: float) -> None:
    """Best validation loss so far against trials, a line per sampler; the accepted recipe as a dashed line."""
    with drawing(path) as (_, axis):
        for sampler, curve in best.items():
            axis.plot(range(1, len(curve) + 1), curve, drawstyle="steps-post", lw=1.8, label=sampler)
        axis.axhline(reference, color=FAINT, ls="--", lw=1, label="accepted recipe, same seed")
        axis.set(xlabel="trials", ylabel="best val loss so far", title="random and Bayesian search, same budget")
        axis.legend()


def slices(path, trials: list[dict], keys: list[str], logs: list[bool]) -> None:
    """Validation loss against each searched key, a colour per sampler."""
    with drawing(path, width=2.9 * max(len(keys), 2), height=2.9, ncols=len(keys), sharey=True, squeeze=False) as (
        _,
        axes,
    ):
        for axis, key, log in zip(axes[0], keys, logs, strict=True):
            for colour, sampler in zip(COLOURS, sorted({t["sampler"] for t in trials}), strict=False):
                mine = [t for t in trials if t["sampler"] == sampler and t["val_loss"] is not None]
                values = [t[key] if isinstance(t[key], (int, float)) else str(t[key]) for t in mine]
                axis.scatter(values, [t["val_loss"] for t in mine], s=20, color=colour, alpha=0.8, label=sampler)
            axis.set(xlabel=key, yscale="log", xscale="log" if log else "linear")
        axes[0][0].set_ylabel("val loss")
        axes[0][0].legend(fontsize=8)


def bars(path, values: dict[str, float], title: str, xlabel: str) -> None:
    with drawing(path, height=0.42 * len(values) + 1.1) as (_, axis):
        axis.barh(list(values)[::-1], list(values.values())[::-1], color=ACCENT, height=0.62)
        axis.set(title=title, xlabel=xlabel)
