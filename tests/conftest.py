"""What several test files share: a clone in which the whole pipeline has run once."""

import filelock
import pytest
from clone import Clone, fresh


@pytest.fixture(scope="session")
def whole(tmp_path_factory, request) -> Clone:
    """A clone after `dvc repro`, everything committed. To look at; `clone` is the one to change."""
    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # under pytest-xdist the workers share it
        base = base.parent
    made = Clone(base / "whole")
    with filelock.FileLock(base / "whole.lock"):
        if not (base / "whole.done").exists():
            fresh(made.root)
            made.repro()
            made.commit()
            (base / "whole.done").touch()
    return made


@pytest.fixture
def clone(whole, tmp_path) -> Clone:
    """A copy of that clone, caches and runs included."""
    return whole.copy(tmp_path / "clone")
