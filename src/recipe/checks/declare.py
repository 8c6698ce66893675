"""What the user declares about a training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Declare:
    """What is intended and must not be reported as a mistake. Each declaration is checked as well.

    In the pipeline `declare: {name: value}` in params.yaml sets it for all stages, and conf/learn.yaml has every name.
    """

    frozen: tuple[str, ...] = ()  # prefixes of parameter names that must not move
    pretrained: tuple[str, ...] = ()  # prefixes of parameter names that were loaded; by default it is recognised
    accumulate: int = 1  # train_step calls per step of the optimizer
    mixes_samples: bool = False  # mixup, cutmix, contrastive: an example's loss depends on others of its batch
    causal: bool = False  # outputs at time t depend only on inputs up to t
    resampled_train: bool = False  # train was balanced or oversampled, val was not
    shared_modules: bool = False  # one layer is used in several places on purpose
    irreducible_noise: bool = False  # the same input has several right targets
