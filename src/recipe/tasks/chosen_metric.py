"""The metric that gates, ladders, search and report use beside the loss: the task's usual one, or the one in conf."""

from dataclasses import replace

import torch
from torch import Tensor

from recipe.errors import RecipeError
from recipe.metrics.classification import AVERAGE_PRECISION
from recipe.metrics.metric import Metric
from recipe.metrics.user_defined import UserFunction
from recipe.tasks.classification import IMBALANCE
from recipe.tasks.task import Task

AUTO = "auto"


def chosen_metric(task: Task, y: Tensor, choice: str | UserFunction = AUTO) -> Metric:
    """y: the training targets, by which the usual metric is chosen.

    Raises RecipeError that lists the metrics of the task where it has none of that name, and where a user's function
    has the name of one of them.
    """
    if isinstance(choice, UserFunction):
        if choice.name in task.metrics:
            raise RecipeError(
                f"`metric.name: {choice.name}` is a metric of the task {task.name} already, which every report shows "
                f"beside yours: choose another name, or write `metric: {choice.name}` for that one."
            )
        return choice.metric(lambda outputs, targets: (task.predict(outputs), task.actual(targets)))
    name = task.usual_metric(y) if choice == AUTO else choice
    if name not in task.metrics:
        raise RecipeError(
            f"`metric: {name}` is not a metric of the task {task.name}; it has {', '.join(sorted(task.metrics))}. "
            f"`auto` is {task.usual_metric(y)}. For a function of yours: `metric: {{_target_: own.module.function}}`."
        )
    return _naming_its_class(task.metrics[name], task, y)


def _naming_its_class(metric: Metric, task: Task, y: Tensor) -> Metric:
    """With the rarer of two uneven classes in its title, where it is of that class alone."""
    if metric is not AVERAGE_PRECISION or task.width > 2 or (task.imbalance(y) or 1.0) <= IMBALANCE:
        return metric
    rarer = int(torch.bincount(y.cpu(), minlength=2).argmin())
    return replace(metric, title=f"{metric.title} of {task.names[rarer]}")
