"""Ways to make airoxy say what the guide to troubles quotes: PROVOCATIONS has a function for each
message, which gives back what was said."""

# Each adds its own when it is imported.
from tests.docs.provocations import operation, refusals, start
from tests.docs.provocations.scene import PROVOCATIONS, Scene

__all__ = ["PROVOCATIONS", "Scene", "operation", "refusals", "start"]
