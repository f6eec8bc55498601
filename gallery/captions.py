"""How each figure is read, in a sentence, and the page of the documents that says more and what it does not tell."""

import os
from pathlib import Path

import convlens

DOCS = Path(convlens.__file__).parent / "docs"  # beside the packages in a clone; a wheel has none
_BASICS, _UNITS = "reading-the-pictures.md", "gallery-units.md"
_WHY, _NETWORKS = "gallery-attribution.md", "gallery-networks.md"

# By figure: the sentence, the page and the heading there.
CAPTIONS: dict[str, tuple[str, str, str]] = {
    "kernels": ("In a first layer blue to red is an edge, stripes a line; a deeper layer reads maps: its kernels are "
                "no pictures.",
                _BASICS, "kernels"),
    "kernel": ("Lay it over a patch, multiply and add up over all channels, add the bias: one cell of the filter "
               "stage.",
               _BASICS, "kernel"),
    "kernels_and_maps": ("In a first layer a map is red where the image looks like the kernel; a deeper unit adds up "
                         "many maps.",
                         _BASICS, "kernels_and_maps"),
    "feature_maps": ("Blue that is white after detect is what ReLU removed; condense keeps the strongest cells.",
                     _BASICS, "feature_maps"),
    "extraction": ("From left to right: find the feature, keep where it is present, keep less but the strongest.",
                   _BASICS, "extraction"),
    "relu": ("Everything blue becomes zero; its share is written beside it.", _BASICS, "relu"),
    "pipeline": ("From block to block resolution falls and the field of view grows; the strongest maps stand on top.",
                 _BASICS, "pipeline"),
    "confusion_matrix": ("A row is a true class, a column what was said; blue is right, red was taken for another.",
                         _BASICS, "confusion_matrix-and-mistakes"),
    "unit_statistics": ("A row a unit: how often it is active, how strongly, for which class, and like which other.",
                        _UNITS, "unit_statistics"),
    "top_patches": ("Each row shows what excites one unit most: look for what all its patches share.",
                    _UNITS, "top_patches"),
    "receptive_field": ("The box is all that a unit can see; the darker below, the more a pixel moves it.",
                        _UNITS, "receptive_field"),
    "concepts": ("The more the colour keeps to the red outlines, the better the unit detects that part; most do only "
                 "in part.", _UNITS, "concepts"),
    "ablation": ("The darker a class in a row, the more of its images are lost without that unit; one image is no "
                 "evidence.", _UNITS, "ablation"),
    "kernel_spectrum": ("Where blue is above grey on the left, training has strengthened a few directions.",
                        _UNITS, "kernel_spectrum"),
    "explanations": ("Red speaks for the class, blue against it; each method has its own scale and its own faults.",
                     _WHY, "explanations"),
    "deletion_insertion": ("A good map: red rises early, blue falls early.", _WHY, "deletion_insertion"),
    "randomisation": ("A map that stays the same while weights are shuffled says nothing of what was learned.",
                      _WHY, "randomisation"),
    "activation_maximization": ("An image made to excite the unit: what it would like to see, not what it does see.",
                                _WHY, "activation_maximization"),
    "architecture": ("Boxes are as large as the maps and as long as there are channels; below are weights and work.",
                     _NETWORKS, "architecture"),
    "neighbours": ("Right of each image are those that the layer takes for most alike; red ones are of another class.",
                   _NETWORKS, "neighbours"),
    "confusion_examples": ("A row is a true class, a column what was said, with the surest images in the cell.",
                           _NETWORKS, "confusion_examples"),
    "mistakes": ("The surest mistakes, and where the network saw what it said and what it should have said.",
                 _NETWORKS, "mistakes"),
    "evolution": ("A frame an epoch, on one scale for all: what grows is seen to grow.", _NETWORKS, "evolution"),
    "projector": ("Each point is an image; classes that the layer tells apart are islands.",
                  _NETWORKS, "tensorboards-projector"),
    "layer_similarity": ("1 means that two layers arrange the images alike; framed is each row's best.",
                         _NETWORKS, "layer_similarity"),
    "matched_units": ("Units of A and B that do the same stand side by side; right of them is B − A.",
                      _NETWORKS, "matched_units"),
    "class_accuracy": ("A row a class: A is the large dot, B the small one, and B − A stands beside.",
                       _NETWORKS, "class_accuracy"),
    "grad_cam": ("Red is where the last maps speak for the class.", _WHY, "grad-cam"),
    "grad_cam_plus_plus": ("As Grad-CAM, with several small places counting as much as one large.",
                           _WHY, "grad-cam-1"),
    "score_cam": ("As Grad-CAM, each map weighed by the logit of the image seen through it alone.", _WHY, "score-cam"),
    "saliency": ("The darker a pixel, the more a small change of it moves the class.", _WHY, "saliency"),
    "smooth_grad": ("Saliency, averaged over noisy copies of the image.", _WHY, "smoothgrad"),
    "integrated_gradients": ("Each pixel's share of what sets this image's logit apart from a black image's.",
                             _WHY, "integrated-gradients"),
    "guided_backpropagation": ("Fine structure that the network looks at; it hardly changes with the class.",
                               _WHY, "guided-backpropagation"),
    "occlusion": ("Red are the places that lower the class when they are covered.", _WHY, "occlusion"),
}  # fmt: skip


def caption_of(figure: str) -> tuple[str, str, str] | None:
    """The sentence, page and heading of a figure, `mistakes_test` of `mistakes`; None for one that is not ours."""
    return CAPTIONS.get(figure) or CAPTIONS.get(figure.rpartition("_")[0])


def address_of(page: str, heading: str, folder: Path) -> str | None:
    """Where a page of the documents lies, as seen from a folder of figures; None where it was not installed."""
    if not (DOCS / page).is_file():
        return None
    try:
        relative = os.path.relpath((DOCS / page).resolve(), folder.resolve())
    except ValueError:  # on another drive
        return None
    return f"{Path(relative).as_posix()}#{heading}"
