"""Claims about the data themselves, by subject."""

from recipe.stages.audit.checks import biases, copies, inputs, targets
from recipe.stages.audit.checks.subject import Audited, audited

__all__ = ["CLAIMS", "Audited", "audited"]
CLAIMS = (inputs, copies, targets, biases)
