"""A kind of input by its name."""

from recipe.inputs.embeddings import Embeddings
from recipe.inputs.features import Features
from recipe.inputs.images import Images
from recipe.inputs.inputs import Inputs
from recipe.inputs.texts import Texts

IMAGES, FEATURES, TEXTS, EMBEDDINGS = Images(), Features(), Texts(), Embeddings()
KINDS: dict[str, Inputs] = {kind.name: kind for kind in (IMAGES, FEATURES, TEXTS)}
