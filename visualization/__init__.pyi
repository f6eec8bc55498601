from .ablation import (
    ablation_figure as ablation_figure,
)
from .architecture import (
    architecture_figure as architecture_figure,
)
from .attribution import (
    attribution_figure as attribution_figure,
    deletion_insertion_figure as deletion_insertion_figure,
    randomisation_figure as randomisation_figure,
)
from .basics import (
    FIGURES as FIGURES,
    Drawing as Drawing,
    plan as plan,
)
from .caption import (
    Caption as Caption,
    choose_units as choose_units,
)
from .comparison import (
    class_accuracy_figure as class_accuracy_figure,
    layer_similarity_figure as layer_similarity_figure,
    matched_units_figure as matched_units_figure,
)
from .concepts import (
    concepts_figure as concepts_figure,
)
from .confusion_examples import (
    confusion_examples_figure as confusion_examples_figure,
)
from .display import (
    Display as Display,
    last_of_each_block as last_of_each_block,
)
from .evaluation import (
    confusion_matrix_figure as confusion_matrix_figure,
    mistakes_figure as mistakes_figure,
)
from .evolution import (
    evolution_frame as evolution_frame,
    write_evolution as write_evolution,
)
from .extraction import (
    extraction_figure as extraction_figure,
    unit_extraction_figure as unit_extraction_figure,
)
from .feature_maps import (
    feature_maps_figure as feature_maps_figure,
    kernels_and_maps_figure as kernels_and_maps_figure,
)
from .forward_pass import (
    pipeline_figure as pipeline_figure,
)
from .index import (
    Entry as Entry,
    write_index as write_index,
)
from .kernels import (
    kernels_figure as kernels_figure,
    show_kernel as show_kernel,
)
from .maximization import (
    maximization_figure as maximization_figure,
)
from .neighbours import (
    neighbours_figure as neighbours_figure,
)
from .patches import (
    top_patches_figure as top_patches_figure,
)
from .projector import (
    write_projector as write_projector,
)
from .receptive_field import (
    receptive_field_figure as receptive_field_figure,
)
from .relu import (
    relu_figure as relu_figure,
)
from .save import (
    save_figure as save_figure,
)
from .spectrum import (
    kernel_spectrum_figure as kernel_spectrum_figure,
)
from .tiles import (
    kernel_tiles as kernel_tiles,
    map_tiles as map_tiles,
)
from .unit_statistics import (
    unit_statistics_figure as unit_statistics_figure,
)

__all__ = [
    "Caption",
    "Display",
    "Drawing",
    "Entry",
    "FIGURES",
    "ablation_figure",
    "architecture_figure",
    "attribution_figure",
    "choose_units",
    "class_accuracy_figure",
    "concepts_figure",
    "confusion_examples_figure",
    "confusion_matrix_figure",
    "deletion_insertion_figure",
    "evolution_frame",
    "extraction_figure",
    "feature_maps_figure",
    "kernel_spectrum_figure",
    "kernel_tiles",
    "kernels_and_maps_figure",
    "kernels_figure",
    "last_of_each_block",
    "layer_similarity_figure",
    "map_tiles",
    "matched_units_figure",
    "maximization_figure",
    "mistakes_figure",
    "neighbours_figure",
    "pipeline_figure",
    "plan",
    "randomisation_figure",
    "receptive_field_figure",
    "relu_figure",
    "save_figure",
    "show_kernel",
    "top_patches_figure",
    "unit_extraction_figure",
    "unit_statistics_figure",
    "write_evolution",
    "write_index",
    "write_projector",
]
