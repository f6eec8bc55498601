from .ablation import (
    ablate as ablate,
)
from .ablation import (
    ablate_shares as ablate_shares,
)
from .architecture import (
    Architecture as Architecture,
)
from .architecture import (
    architecture as architecture,
)
from .cam import (
    grad_cam as grad_cam,
)
from .cam import (
    grad_cam_plus_plus as grad_cam_plus_plus,
)
from .cam import (
    score_cam as score_cam,
)
from .classifier import (
    Network as Network,
)
from .classifier import (
    class_logits as class_logits,
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
from .confusion_examples import (
    examples_of_confusions as examples_of_confusions,
)
from .deletion_insertion import (
    Curves as Curves,
)
from .deletion_insertion import (
    deletion_insertion as deletion_insertion,
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
from .guided_backpropagation import (
    guided_backpropagation as guided_backpropagation,
)
from .input_gradient import (
    input_gradient as input_gradient,
)
from .integrated_gradients import (
    completeness_gap as completeness_gap,
)
from .integrated_gradients import (
    integrated_gradients as integrated_gradients,
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
from .occlusion import (
    occlusion as occlusion,
)
from .patches import (
    PatchesCollector as PatchesCollector,
)
from .patches import (
    top_patches as top_patches,
)
from .randomisation import (
    Randomisation as Randomisation,
)
from .randomisation import (
    randomisation_check as randomisation_check,
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
from .smooth_grad import (
    smooth_grad as smooth_grad,
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
from .unit_pass import (
    unit_pass as unit_pass,
)
from .unit_statistics import (
    StatisticsCollector as StatisticsCollector,
)
from .unit_statistics import (
    table_csv as table_csv,
)
from .unit_statistics import (
    unit_statistics as unit_statistics,
)
from .unit_statistics import (
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
