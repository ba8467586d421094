"""Errors of a preparation."""


class PreparationError(Exception):
    """The venv cannot be prepared.

    Attributes:
        summary: What happened, with the path.
        advice: What to do, a line each.
    """

    def __init__(self, summary: str, *advice: str) -> None:
        super().__init__(summary)
        self.summary = summary
        self.advice = advice
