"""How a model learns: the run folder, the optimizer and its schedule, fitting, evaluation and what is logged."""

import importlib

_HOMES = {
    "Evaluation": "evaluation",
    "Run": "run",
    "evaluate_model": "evaluation",
    "fit_model": "fit",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    # Loaded on first use: importing the room must not load Keras, which takes seconds.
    if name not in _HOMES:
        raise AttributeError(f"module 'training' has no attribute '{name}'")
    return getattr(importlib.import_module(f"training.{_HOMES[name]}"), name)
