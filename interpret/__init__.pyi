from .ablation import (
    Ablation as Ablation,
    Scores as Scores,
    ShareAblation as ShareAblation,
    ablate as ablate,
    ablate_shares as ablate_shares,
)
from .architecture import (
    Architecture as Architecture,
    LayerCost as LayerCost,
    architecture as architecture,
)
from .cam import (
    grad_cam as grad_cam,
    grad_cam_plus_plus as grad_cam_plus_plus,
    score_cam as score_cam,
)
from .classifier import (
    Network as Network,
    class_logits as class_logits,
)
from .comparison import (
    Agreement as Agreement,
    Comparison as Comparison,
    MatchedKernels as MatchedKernels,
    UnitMatch as UnitMatch,
    arranged_kernels as arranged_kernels,
    compare as compare,
    matched_kernels as matched_kernels,
)
from .concepts import (
    ConceptsCollector as ConceptsCollector,
    ConceptScores as ConceptScores,
    Detectors as Detectors,
    concept_scores as concept_scores,
    detectors as detectors,
    strong_cells as strong_cells,
)
from .confusion_examples import (
    ConfusionExamples as ConfusionExamples,
    confusion_examples as confusion_examples,
    examples_of_confusions as examples_of_confusions,
)
from .deletion_insertion import (
    Curves as Curves,
    deletion_insertion as deletion_insertion,
)
from .explanations import (
    AttributionMethod as AttributionMethod,
    Explanations as Explanations,
    attribution_maps as attribution_maps,
    explain as explain,
)
from .extraction import (
    Cover as Cover,
    Extraction as Extraction,
    cover as cover,
    extract as extract,
    luminance as luminance,
)
from .familiarity import (
    Familiarity as Familiarity,
    energy_score as energy_score,
    separation as separation,
)
from .guided_backpropagation import (
    guided_backpropagation as guided_backpropagation,
)
from .input_gradient import (
    input_gradient as input_gradient,
)
from .integrated_gradients import (
    completeness_gap as completeness_gap,
    integrated_gradients as integrated_gradients,
)
from .kernels import (
    NamedKernel as NamedKernel,
    named_kernels as named_kernels,
    parse_kernel as parse_kernel,
)
from .maximization import (
    Maximization as Maximization,
    StrongestImages as StrongestImages,
    activation_maximization as activation_maximization,
    strongest_images as strongest_images,
    unit_activations as unit_activations,
)
from .neighbours import (
    Embedding as Embedding,
    Neighbours as Neighbours,
    embedding as embedding,
    features_layer as features_layer,
    nearest_neighbours as nearest_neighbours,
)
from .observation import (
    Observation as Observation,
    ObservedLayer as ObservedLayer,
    kernels_of as kernels_of,
    observe as observe,
    read_by as read_by,
)
from .occlusion import (
    occlusion as occlusion,
)
from .patches import (
    PatchesCollector as PatchesCollector,
    TopPatches as TopPatches,
    top_patches as top_patches,
)
from .randomisation import (
    Randomisation as Randomisation,
    randomisation_check as randomisation_check,
)
from .reading import (
    Reading as Reading,
    added_by_each as added_by_each,
    strongest_read as strongest_read,
)
from .receptive_field import (
    ReceptiveField as ReceptiveField,
    UnitView as UnitView,
    UnitViews as UnitViews,
    effective_receptive_field as effective_receptive_field,
    effective_size as effective_size,
    unit_views as unit_views,
)
from .saliency import (
    saliency as saliency,
)
from .smooth_grad import (
    smooth_grad as smooth_grad,
)
from .snapshots import (
    Evolution as Evolution,
    Snapshot as Snapshot,
    cosine_with_start as cosine_with_start,
    evolution as evolution,
    pack_snapshot as pack_snapshot,
    stack_snapshots as stack_snapshots,
    unpack_snapshot as unpack_snapshot,
    unpacked_bytes as unpacked_bytes,
)
from .spectrum import (
    KernelSpectrum as KernelSpectrum,
    LayerSpectrum as LayerSpectrum,
    kernel_spectrum as kernel_spectrum,
    layer_spectrum as layer_spectrum,
    random_spectrum as random_spectrum,
)
from .tuning import (
    KernelTuning as KernelTuning,
    kernel_tuning as kernel_tuning,
)
from .unit_pass import (
    unit_pass as unit_pass,
)
from .unit_statistics import (
    StatisticsCollector as StatisticsCollector,
    UnitStatistics as UnitStatistics,
    table_csv as table_csv,
    unit_statistics as unit_statistics,
    unit_table as unit_table,
)

__all__ = [
    "Ablation",
    "Agreement",
    "Architecture",
    "AttributionMethod",
    "Comparison",
    "ConceptScores",
    "ConceptsCollector",
    "ConfusionExamples",
    "Cover",
    "Curves",
    "Detectors",
    "Embedding",
    "Evolution",
    "Explanations",
    "Extraction",
    "Familiarity",
    "KernelSpectrum",
    "KernelTuning",
    "LayerCost",
    "LayerSpectrum",
    "MatchedKernels",
    "Maximization",
    "NamedKernel",
    "Neighbours",
    "Network",
    "Observation",
    "ObservedLayer",
    "PatchesCollector",
    "Randomisation",
    "Reading",
    "ReceptiveField",
    "Scores",
    "ShareAblation",
    "Snapshot",
    "StatisticsCollector",
    "StrongestImages",
    "TopPatches",
    "UnitMatch",
    "UnitStatistics",
    "UnitView",
    "UnitViews",
    "ablate",
    "ablate_shares",
    "activation_maximization",
    "added_by_each",
    "architecture",
    "arranged_kernels",
    "attribution_maps",
    "class_logits",
    "compare",
    "completeness_gap",
    "cosine_with_start",
    "concept_scores",
    "confusion_examples",
    "cover",
    "deletion_insertion",
    "detectors",
    "effective_receptive_field",
    "effective_size",
    "embedding",
    "energy_score",
    "evolution",
    "examples_of_confusions",
    "explain",
    "extract",
    "features_layer",
    "grad_cam",
    "grad_cam_plus_plus",
    "guided_backpropagation",
    "input_gradient",
    "integrated_gradients",
    "kernel_spectrum",
    "kernel_tuning",
    "kernels_of",
    "layer_spectrum",
    "luminance",
    "matched_kernels",
    "named_kernels",
    "nearest_neighbours",
    "observe",
    "occlusion",
    "pack_snapshot",
    "parse_kernel",
    "random_spectrum",
    "randomisation_check",
    "read_by",
    "saliency",
    "score_cam",
    "separation",
    "smooth_grad",
    "stack_snapshots",
    "strong_cells",
    "strongest_images",
    "strongest_read",
    "table_csv",
    "top_patches",
    "unit_activations",
    "unit_pass",
    "unit_statistics",
    "unit_table",
    "unit_views",
    "unpack_snapshot",
    "unpacked_bytes",
]
