"""Source: which files does the data source read, and what is in them?

Reads   resolved/{prepare,embed,regularize}.yaml, and the files that their `data`, `model.weights` and second sources of
        examples name, wherever they are
Writes  resolved/source.json, on which prepare depends, backbone.json of embed, and extra.json of regularize and later;
        runs each time, because DVC cannot see all of these files
"""

import sys

from recipe.addresses import masked
from recipe.errors import RecipeError
from recipe.sources.source_files import write_manifest

if __name__ == "__main__":
    try:
        print(f"source: {write_manifest()}")
    except RecipeError as error:
        sys.exit(masked(f"source: {error}"))
