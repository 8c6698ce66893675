"""The one exception for a person's mistakes: it is shown as a message, never as a stack trace."""


class RecipeError(Exception):
    """Says what was found, what was expected and where to mend it."""
