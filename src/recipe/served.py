"""The final system as MLflow serves it ("models from code"): MLflow runs this file, nothing imports it.

A model logged by track.py holds the system's folder and a copy of this package, so it also loads where `recipe` is not
installed. A request has what `recipe predict` reads: the columns of the table; `image`, the bytes of an image file; or
the array itself.
"""

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Served(PythonModel):
    def load_context(self, context) -> None:
        from recipe.system import load

        self.system = load(context.artifacts["system"])

    def predict(self, context, model_input, params=None):
        """A row per input: predicted, confidence, p_<class>, ..., problem (empty where there is an answer)."""
        import pandas

        from recipe.data.fresh import given
        from recipe.predict import answers

        found = answers(self.system, given(model_input, self.system.form))
        return pandas.DataFrame([answer.row(self.system.classes) for answer in found]).drop(columns="name")


set_model(Served())
