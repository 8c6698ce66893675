"""The audit of the digits, which several modules of tests examine."""

import pytest
from audits import LIMITS

from recipe.data.store import Store
from recipe.sources.digits import Digits
from recipe.stages.audit.audit import audit
from recipe.stages.prepare.write_store import prepare


@pytest.fixture(scope="session")
def audited_digits(tmp_path_factory):
    """(audit, store, its folder) of the clean digits, with the probes, whose codes are learned from few patches."""
    folder = tmp_path_factory.mktemp("digits")
    config = {"_target_": "Digits"}
    prepare(Digits(), config, folder)
    store = Store.open(config, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recipe.stages.audit.probes.patch_codes.SAMPLE", 2_000)
        return audit(store, LIMITS, seed=0), store, folder
