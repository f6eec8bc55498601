"""What units mean: arrays in, arrays out."""

from importlib import import_module
from typing import Any

from interpret.confusion import examples_of_confusions
from interpret.extraction import Extraction, extract, luminance
from interpret.kernels import NamedKernel, named_kernels, parse_kernel
from interpret.snapshots import Snapshot, pack_snapshot, stack_snapshots, unpack_snapshot

# Found on first use: these ask a model, and so wait for Keras to be imported.
_NEEDS_KERAS = {
    "Architecture": "interpret.costs",
    "Comparison": "interpret.comparison",
    "ConceptsCollector": "interpret.concepts",
    "Curves": "interpret.attribution",
    "Embedding": "interpret.neighbours",
    "Maximization": "interpret.maximization",
    "Neighbours": "interpret.neighbours",
    "Network": "interpret.attribution",
    "PatchesCollector": "interpret.patches",
    "Randomisation": "interpret.attribution",
    "StatisticsCollector": "interpret.statistics",
    "ablate": "interpret.ablation",
    "ablate_shares": "interpret.ablation",
    "activation_maximization": "interpret.maximization",
    "architecture": "interpret.costs",
    "class_logits": "interpret.attribution",
    "compare": "interpret.comparison",
    "completeness_gap": "interpret.attribution",
    "concept_scores": "interpret.concepts",
    "deletion_insertion": "interpret.attribution",
    "effective_receptive_field": "interpret.receptive_field",
    "effective_size": "interpret.receptive_field",
    "embedding": "interpret.neighbours",
    "features_layer": "interpret.neighbours",
    "grad_cam": "interpret.attribution",
    "grad_cam_plus_plus": "interpret.attribution",
    "guided_backpropagation": "interpret.attribution",
    "input_gradient": "interpret.attribution",
    "integrated_gradients": "interpret.attribution",
    "kernel_difference": "interpret.comparison",
    "kernel_spectrum": "interpret.spectrum",
    "nearest_neighbours": "interpret.neighbours",
    "occlusion": "interpret.attribution",
    "random_spectrum": "interpret.spectrum",
    "randomisation_check": "interpret.attribution",
    "saliency": "interpret.attribution",
    "score_cam": "interpret.attribution",
    "smooth_grad": "interpret.attribution",
    "strong_places": "interpret.concepts",
    "table_csv": "interpret.statistics",
    "top_patches": "interpret.patches",
    "unit_activations": "interpret.maximization",
    "unit_pass": "interpret.passes",
    "unit_statistics": "interpret.statistics",
    "unit_table": "interpret.statistics",
}

__all__ = [
    "Extraction",
    "NamedKernel",
    "Snapshot",
    "examples_of_confusions",
    "extract",
    "luminance",
    "named_kernels",
    "pack_snapshot",
    "parse_kernel",
    "stack_snapshots",
    "unpack_snapshot",
    *_NEEDS_KERAS,
]


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_KERAS:
        raise AttributeError(f"module 'interpret' has no attribute '{name}'")
    return getattr(import_module(_NEEDS_KERAS[name]), name)
