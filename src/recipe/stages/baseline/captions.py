"""What the baseline stage shows and says."""

EVIDENCE = {"inputs_are_scaled": ["door.png"], "beats_a_blind_model": ["dynamics.png"]}
FIGURES = {
    "door.png": "the first training batch as it enters the net, decoded, with its labels",
    "curves.png": "each floor's losses, a line per seed",
    "dynamics.png": "prediction dynamics: a fixed validation batch over the course of training",
}
METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")  # of the chosen model


def summary(scores: list[dict]) -> str:
    """scores: a row per system, the chosen model last."""
    *floors, model = scores
    others = ", ".join(f"{s['system']} {s['val_accuracy']:.1%}" for s in floors)
    return f"{model['system']}: {model['val_accuracy']:.1%} on validation; floors {others}."
