"""What a run is made of: YAML values, the schema that checks them, and the commands that read them."""

from convlens.configs.schema import Data, Evaluate, Model, Train, Training, Visualize
from convlens.core.errors import UserError

__all__ = ["Data", "Evaluate", "Model", "Train", "Training", "UserError", "Visualize"]
