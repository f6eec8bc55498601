"""What each figure answers, in a line: what `--help` says of them."""

from convlens.interpret import named_kernels

GROUP_MEANINGS = {
    "basics": "kernels, and what they make of images",
    "units": "what each unit reacts to, over many images",
    "attribution": "why this class?",
    "networks": "what it is made of, how it came to be, what it confuses",
    "comparison": "what two runs, a= and b=, differ in",
    "all": "all of these but comparison",
}

FIGURE_MEANINGS = {
    "kernels": "the kernels of a layer, side by side",
    "kernel": "one kernel with its numbers; needs units=",
    "kernels_and_maps": "each kernel beside the map that it makes",
    "feature_maps": "the maps of an image at filter, detect and condense",
    "extraction": "one unit at work: input, filter, detect, condense",
    "relu": "what ReLU keeps of a unit's responses, and what it deletes",
    "pipeline": "an image's way through the whole network",
    "unit_statistics": "how often and how strongly each unit fires, for which classes, and which are dead",
    "top_patches": "the patches of the split that excite a unit most",
    "concepts": "which units fire on which part of a vehicle; of rendered_cars",
    "receptive_field": "which pixels a unit sees, in theory and in fact",
    "ablation": "what the network can no longer do without a unit",
    "kernel_spectrum": "in how many directions the kernels of a layer look, beside random ones",
    "explanations": "every method below beside every other, an image a figure",
    "deletion_insertion": "which of them point at pixels that the network uses",
    "randomisation": "which of them change when the network's weights are random",
    "activation_maximization": "an image made to excite a unit",
    "architecture": "the network's layers, shapes and cost",
    "neighbours": "images of the split that the network takes for alike",
    "confusion_examples": "images behind each cell of the confusion matrix",
    "mistakes": "the most confident mistakes, and why",
    "evolution": "kernels and maps from the start to the last epoch, also as an animation",
    "projector": "files for TensorBoard's projector: the split as a cloud of points",
    "layer_similarity": "how alike the layers of two runs are",
    "matched_units": "which unit of one run does what a unit of the other does",
    "class_accuracy": "which classes one run knows better than the other",
    "grad_cam": "where the last convolution speaks for the class",
    "grad_cam_plus_plus": "the same, where several places do",
    "score_cam": "the same, without gradients",
    "saliency": "which pixels change the class's score most",
    "smooth_grad": "the same, averaged over noisy copies of the image",
    "integrated_gradients": "what each pixel adds to the score, on the way from black",
    "guided_backpropagation": "saliency through positive paths only; sharp, and not specific to the class",
    "occlusion": "what the score loses when a patch is covered",
}


def help_lines() -> list[str]:
    """The figures, in their groups, and the kernels, for `--help`."""
    from convlens.gallery.registry import FIGURES, GROUPS

    lines = ["", "figures= takes figures and groups, such as figures=basics,top_patches:"]
    for group, members in GROUPS.items():
        lines.append(f"  {group:26}{GROUP_MEANINGS[group]}")
        lines += [f"    {name:24}{FIGURE_MEANINGS[name]}" for name in members if group != "all"]
    lines.append("  and by itself, each of the methods of explanations:")
    lines += [f"    {name:24}{FIGURE_MEANINGS[name]}" for name, figure in FIGURES.items() if figure.group is None]
    lines += ["", "kernel= takes rows of numbers, 'kernel=[[0,-1,0],[-1,4,-1],[0,-1,0]]', or a name:"]
    lines += [f"  {name:26}{kernel.meaning}" for name, kernel in named_kernels().items()]
    return lines
