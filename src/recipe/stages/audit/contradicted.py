"""What is the same of contradicted classes and of contradicted labels: the flag, and the share that is wrong."""

from collections.abc import Mapping

import numpy as np

from recipe.stages.audit.flags import SUSPECT
from recipe.stages.audit.label_sets import LabelSuspects
from recipe.stages.audit.labels import Suspects


class Contradicted:
    """Parts of recipe.stages.audit.targets.Judged."""

    suspects: Suspects | LabelSuspects

    @property
    def flagged(self) -> np.ndarray:
        return self.suspects.flagged

    @property
    def marks(self) -> Mapping[str, np.ndarray]:
        return {SUSPECT: self.flagged}

    @property
    def noise(self) -> tuple[float, float] | None:
        return None if self.suspects.weak else self.suspects.rate
