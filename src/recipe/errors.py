"""The one exception for a user's mistakes: it is shown as a message, never as a stack trace."""


class RecipeError(Exception):
    """Its message says what is wrong, what was expected and where to correct it."""
