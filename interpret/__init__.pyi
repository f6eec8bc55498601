from .ablation import (
    ablate as ablate,
)
from .ablation import (
    ablate_shares as ablate_shares,
)
from .attribution import (
    Curves as Curves,
)
from .attribution import (
    Network as Network,
)
from .attribution import (
    Randomisation as Randomisation,
)
from .attribution import (
    class_logits as class_logits,
)
from .attribution import (
    completeness_gap as completeness_gap,
)
from .attribution import (
    deletion_insertion as deletion_insertion,
)
from .attribution import (
    grad_cam as grad_cam,
)
from .attribution import (
    grad_cam_plus_plus as grad_cam_plus_plus,
)
from .attribution import (
    guided_backpropagation as guided_backpropagation,
)
from .attribution import (
    input_gradient as input_gradient,
)
from .attribution import (
    integrated_gradients as integrated_gradients,
)
from .attribution import (
    occlusion as occlusion,
)
from .attribution import (
    randomisation_check as randomisation_check,
)
from .attribution import (
    score_cam as score_cam,
)
from .attribution import (
    smooth_grad as smooth_grad,
)
from .comparison import (
    Comparison as Comparison,
)
from .comparison import (
    compare as compare,
)
from .comparison import (
    kernel_difference as kernel_difference,
)
from .concepts import (
    ConceptsCollector as ConceptsCollector,
)
from .concepts import (
    concept_scores as concept_scores,
)
from .concepts import (
    strong_places as strong_places,
)
from .confusion import (
    examples_of_confusions as examples_of_confusions,
)
from .costs import (
    Architecture as Architecture,
)
from .costs import (
    architecture as architecture,
)
from .extraction import (
    Extraction as Extraction,
)
from .extraction import (
    extract as extract,
)
from .extraction import (
    luminance as luminance,
)
from .kernels import (
    NamedKernel as NamedKernel,
)
from .kernels import (
    named_kernels as named_kernels,
)
from .kernels import (
    parse_kernel as parse_kernel,
)
from .maximization import (
    Maximization as Maximization,
)
from .maximization import (
    activation_maximization as activation_maximization,
)
from .maximization import (
    unit_activations as unit_activations,
)
from .neighbours import (
    Embedding as Embedding,
)
from .neighbours import (
    Neighbours as Neighbours,
)
from .neighbours import (
    embedding as embedding,
)
from .neighbours import (
    features_layer as features_layer,
)
from .neighbours import (
    nearest_neighbours as nearest_neighbours,
)
from .passes import (
    unit_pass as unit_pass,
)
from .patches import (
    PatchesCollector as PatchesCollector,
)
from .patches import (
    top_patches as top_patches,
)
from .receptive_field import (
    effective_receptive_field as effective_receptive_field,
)
from .receptive_field import (
    effective_size as effective_size,
)
from .saliency import (
    saliency as saliency,
)
from .snapshots import (
    Snapshot as Snapshot,
)
from .snapshots import (
    pack_snapshot as pack_snapshot,
)
from .snapshots import (
    stack_snapshots as stack_snapshots,
)
from .snapshots import (
    unpack_snapshot as unpack_snapshot,
)
from .spectrum import (
    kernel_spectrum as kernel_spectrum,
)
from .spectrum import (
    random_spectrum as random_spectrum,
)
from .statistics import (
    StatisticsCollector as StatisticsCollector,
)
from .statistics import (
    table_csv as table_csv,
)
from .statistics import (
    unit_statistics as unit_statistics,
)
from .statistics import (
    unit_table as unit_table,
)

__all__ = [
    "Architecture",
    "Comparison",
    "ConceptsCollector",
    "Curves",
    "Embedding",
    "Extraction",
    "Maximization",
    "NamedKernel",
    "Neighbours",
    "Network",
    "PatchesCollector",
    "Randomisation",
    "Snapshot",
    "StatisticsCollector",
    "ablate",
    "ablate_shares",
    "activation_maximization",
    "architecture",
    "class_logits",
    "compare",
    "completeness_gap",
    "concept_scores",
    "deletion_insertion",
    "effective_receptive_field",
    "effective_size",
    "embedding",
    "examples_of_confusions",
    "extract",
    "features_layer",
    "grad_cam",
    "grad_cam_plus_plus",
    "guided_backpropagation",
    "input_gradient",
    "integrated_gradients",
    "kernel_difference",
    "kernel_spectrum",
    "luminance",
    "named_kernels",
    "nearest_neighbours",
    "occlusion",
    "pack_snapshot",
    "parse_kernel",
    "random_spectrum",
    "randomisation_check",
    "saliency",
    "score_cam",
    "smooth_grad",
    "stack_snapshots",
    "strong_places",
    "table_csv",
    "top_patches",
    "unit_activations",
    "unit_pass",
    "unit_statistics",
    "unit_table",
    "unpack_snapshot",
]
