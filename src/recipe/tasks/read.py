"""The task that store.json and system.yaml describe."""

from collections.abc import Mapping
from typing import Any

from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression
from recipe.tasks.task import Task


def task_of(facts: Mapping[str, Any]) -> Task:
    """The inverse of `Task.facts`. Raises KeyError where `facts` are not what `Task.facts` gives."""
    if facts["name"] == Classification.name:
        return Classification(tuple(facts["classes"]))
    if facts["name"] == Multilabel.name:
        return Multilabel(tuple(facts["labels"]))
    mean, std = (tuple(facts.get(scale, ())) for scale in ("mean", "std"))
    return Regression(tuple(facts["targets"]), facts["unit"], mean, std)
