"""How what was learned looks: arrays in, Matplotlib figures (or plain uint8 arrays) out.

Names are loaded on first use, so that a caller of `kernel_tiles` and `map_tiles` does not wait for Matplotlib.
"""

from importlib import import_module

_HOMES = {
    "kernel_tiles": "tiles",
    "map_tiles": "tiles",
    "confusion_matrix_figure": "evaluation",
    "mistakes_figure": "evaluation",
    "save_figure": "save",
    "Caption": "caption",
    "choose_units": "caption",
    "attribution_figure": "attribution",
    "deletion_insertion_figure": "attribution",
    "randomisation_figure": "attribution",
    "maximization_figure": "maximization",
    "kernels_figure": "kernels",
    "show_kernel": "kernels",
    "feature_maps_figure": "feature_maps",
    "kernels_and_maps_figure": "feature_maps",
    "extraction_figure": "extraction",
    "relu_figure": "relu",
    "Stop": "pipeline",
    "pipeline_figure": "pipeline",
    "Drawing": "scene",
    "FIGURES": "scene",
    "Layer": "scene",
    "Look": "scene",
    "Scene": "scene",
    "plan": "scene",
    "unit_statistics_figure": "unit_statistics",
    "top_patches_figure": "patches",
    "concepts_figure": "concepts",
    "Sight": "receptive_field",
    "receptive_field_figure": "receptive_field",
    "ablation_figure": "ablation",
    "Spectrum": "spectrum",
    "kernel_spectrum_figure": "spectrum",
    "last_of_each_block": "scene",
    "write_whole": "files",
    "Step": "architecture_plan",
    "architecture_figure": "architecture",
    "layer_similarity_figure": "comparison",
    "matched_units_figure": "comparison",
    "class_accuracy_figure": "comparison",
    "neighbours_figure": "neighbours",
    "write_projector": "projector",
    "write_evolution": "evolution",
    "evolution_frame": "evolution",
    "confusion_examples_figure": "confusion_examples",
    "Entry": "contact_sheet",
    "write_index": "contact_sheet",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'visualization' has no attribute {name!r}")
    return getattr(import_module(f"visualization.{_HOMES[name]}"), name)
