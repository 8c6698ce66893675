"""Compose: the config of each stage, with every choice in it.

Reads   params.yaml, conf/
Writes  resolved/<stage>.yaml, from which the stage runs and on which it depends
"""

import sys

from recipe.addresses import masked
from recipe.config.resolve import resolve_all
from recipe.errors import RecipeError

if __name__ == "__main__":
    try:
        resolve_all()
    except RecipeError as error:
        sys.exit(masked(f"compose: {error}"))
