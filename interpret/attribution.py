"""Why this class, and is the answer to be believed: every method of attribution, and the checks that score one."""

from convlens.interpret.cam import grad_cam, grad_cam_plus_plus, score_cam
from convlens.interpret.network import Network, class_logits
from convlens.interpret.occluding import occlusion
from convlens.interpret.saliency import (
    completeness_gap,
    guided_backpropagation,
    input_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from convlens.interpret.sanity import Curves, Randomisation, deletion_insertion, randomisation_check

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
