"""The final system as MLflow serves it ("models from code"): MLflow runs this file, nothing imports it.

A model logged by recipe.tracking.tracker holds the system's folder and a copy of this package, so it also loads where
`recipe` is not installed. A request has the same form as the files of `recipe predict`: the columns of the table;
`image`, the bytes of an image file; or the array itself.
"""

import pandas
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class ServedSystem(PythonModel):
    def load_context(self, context) -> None:
        from recipe.serve.system import load  # here, for MLflow runs this file before it adds the package to the path

        self.system = load(context.artifacts["system"])

    # the annotation prevents a warning of MLflow; a request may also be an array, as the signature declares
    def predict(self, context, model_input: pandas.DataFrame, params=None) -> pandas.DataFrame:
        """A row per input: the columns of the task's answers (of classes predicted, confidence, p_<class>, ...), unlike
        (how it differs from the training examples), problem (empty where there is a prediction)."""
        from recipe.serve.predict import prediction_frame  # here, as above

        return prediction_frame(self.system, model_input)


set_model(ServedSystem())
