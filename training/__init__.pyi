from .evaluation import (
    Confusion as Confusion,
    Evaluation as Evaluation,
    Mistakes as Mistakes,
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
    "Confusion",
    "Evaluation",
    "Mistakes",
    "Run",
    "Session",
    "evaluate_model",
    "fit_model",
]
