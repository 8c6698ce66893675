"""What the overfit stage shows and says."""

from recipe.stages.overfit.capacity_ladder import Rung

EVIDENCE = {"training_set_is_learned": ["ladder.png"], "capacity_lowers_training_loss": ["ladder.png"]}
FIGURES = {"ladder.png": "every rung of the ladder: no regularisation, constant learning rate"}


def metrics(best: Rung, score: dict) -> dict:
    scores = {name: score[name] for name in ("train_loss", "val_loss", "val_accuracy")}
    return scores | {"parameters": best.parameters, "steps": best.trained.curve[-1]["step"]}


def summary(best: Rung) -> str:
    return (
        f"The smallest model that learns the training set: {best.name}, {best.parameters:,} parameters, training loss "
        f"{best.train_loss:.3f} after {best.trained.curve[-1]['step']} steps."
    )
