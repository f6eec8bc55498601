"""Why this class, and is the answer to be believed: every method of attribution, and the checks that score one."""

from interpret.cam import grad_cam, grad_cam_plus_plus, score_cam
from interpret.gradients import (
    completeness_gap,
    guided_backpropagation,
    input_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from interpret.network import Network, class_logits
from interpret.occluding import occlusion
from interpret.sanity import Curves, Randomisation, deletion_insertion, randomisation_check

__all__ = [
    "Curves",
    "Network",
    "Randomisation",
    "class_logits",
    "completeness_gap",
    "deletion_insertion",
    "grad_cam",
    "grad_cam_plus_plus",
    "guided_backpropagation",
    "input_gradient",
    "integrated_gradients",
    "occlusion",
    "randomisation_check",
    "saliency",
    "score_cam",
    "smooth_grad",
]
