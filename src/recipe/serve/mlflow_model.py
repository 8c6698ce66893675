"""The final system as MLflow serves it ("models from code"): MLflow runs this file, nothing imports it.

A model logged by track.py holds the system's folder and a copy of this package, so it also loads where `recipe` is not
installed. A request has what `recipe predict` reads: the columns of the table; `image`, the bytes of an image file; or
the array itself.
"""

import pandas
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Served(PythonModel):
    def load_context(self, context) -> None:
        from recipe.serve.system import load

        self.system = load(context.artifacts["system"])

    # the hint keeps MLflow silent, which knows none for a table or an array: the signature says which
    def predict(self, context, model_input: pandas.DataFrame, params=None) -> pandas.DataFrame:
        """A row per input: predicted, confidence, p_<class>, ..., unlike (the training examples, in what),
        problem (empty where there is an answer)."""
        from recipe.serve.predict import frame

        return frame(self.system, model_input)


set_model(Served())
