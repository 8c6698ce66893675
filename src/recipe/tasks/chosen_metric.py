"""The metric that gates, ladders, search and report use beside the loss: the task's usual one, or the one in conf."""

from torch import Tensor

from recipe.errors import RecipeError
from recipe.metrics.metric import Metric
from recipe.metrics.user_defined import UserFunction
from recipe.tasks.task import Task

AUTO = "auto"


def chosen_metric(task: Task, y: Tensor, choice: str | UserFunction = AUTO) -> Metric:
    """y: the training targets, by which the usual metric is chosen.

    Raises RecipeError that lists the metrics of the task where it has none of that name.
    """
    if isinstance(choice, UserFunction):
        return choice.metric(lambda outputs, targets: (task.predict(outputs), task.actual(targets)))
    name = task.usual_metric(y) if choice == AUTO else choice
    if name not in task.metrics:
        raise RecipeError(
            f"`metric: {name}` is not a metric of the task {task.name}; it has {', '.join(sorted(task.metrics))}. "
            f"`auto` is {task.usual_metric(y)}. For a function of yours: `metric: {{_target_: own.module.function}}`."
        )
    return task.metrics[name]
