from .evaluation import (
    Evaluation as Evaluation,
    evaluate_model as evaluate_model,
)
from .fit import (
    fit_model as fit_model,
)
from .run import (
    Run as Run,
)
from .session import (
    Session as Session,
)

__all__ = [
    "Evaluation",
    "Run",
    "Session",
    "evaluate_model",
    "fit_model",
]
