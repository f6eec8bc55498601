"""What a run is made of: YAML values, the schema that checks them, and the commands that read them."""

from configs.errors import UserError, nearest, one_line, unknown
from configs.quiet import quietly
from configs.schema import Data, Evaluate, Model, Train, Training, Visualize

__all__ = [
    "Data",
    "Evaluate",
    "Model",
    "Train",
    "Training",
    "UserError",
    "Visualize",
    "nearest",
    "one_line",
    "quietly",
    "unknown",
]
