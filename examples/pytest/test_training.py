"""Every check on the training in training.py. `recipe examine test_training:setup` prints each verdict."""

import training

from recipe import Setup, examine


def setup() -> Setup:
    train, val = training.data()
    return Setup(
        model=training.model,
        loss=training.LOSS,
        train=train,
        val=val,
        optimizer=training.optimizer,
        schedule=training.schedule,
        train_step=training.train_step,
        evaluate=training.evaluate,
        batch_size=training.BATCH_SIZE,
        epochs=training.EPOCHS,
    )


def test_the_training_is_sound():
    examine(setup()).raise_if_failed()
