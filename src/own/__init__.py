"""Your models, data sets, losses and augmentations: a module here can be a `_target_` in conf/ (see the README)."""
