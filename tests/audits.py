"""Audits of data sets in memory."""

import pytest

from recipe.data.store import Store
from recipe.data.stored_features import StoredFeatures
from recipe.stages.audit.audit import Audit, audit
from recipe.stages.audit.flags import FlagLimits
from recipe.stages.prepare.write_store import prepare

LIMITS = FlagLimits(near=0.05, outlier=4.0, blank=0.03)


class Rows:
    """A data set of any kind."""

    def __init__(self, values, targets, classes=tuple("0123456789"), kind="image", **more):
        self.values, self.targets, self.classes, self.kind = values, targets, classes, kind
        vars(self).update(more)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index], int(self.targets[index])


class Measured:
    """A data set of feature rows, or of images, with several labels or with quantities: targets (N, K)."""

    def __init__(self, values, targets, kind="features", **names):
        self.values, self.targets, self.kind = values, targets, kind
        vars(self).update(names)  # labels or target_columns, unit, columns, ...

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index], self.targets[index].tolist()


def audit_of(source, folder, features=None) -> tuple[Audit, Store]:
    """Without the probes, which tests/stages/audit/test_probes.py examines. features: (N, D), of a network."""
    config = {"_target_": type(source).__name__}
    prepare(source, config, folder)
    store = Store.open(config, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recipe.stages.audit.audit.run_probes", lambda *_, **__: [])
        stored = None if features is None else StoredFeatures(folder, features, {"name": "a network"})
        return audit(store, LIMITS, seed=0, features=stored), store
