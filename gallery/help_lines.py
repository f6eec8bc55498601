"""What `visualize.py --help` says of figures, groups and kernels."""

from convlens.gallery.registry import ALL, GROUPS, figures, groups
from convlens.interpret import named_kernels


def help_lines() -> list[str]:
    """The figures, in their groups, and the kernels, a line each."""
    known, members = figures(), groups()
    lines = ["", "figures= takes figures and groups, such as figures=basics,top_patches:"]
    for group, meaning in GROUPS.items():
        lines.append(f"  {group:26}{meaning}")
        lines += [f"    {name:24}{known[name].shows}" for name in members[group]]
    lines.append(f"  {'all':26}{ALL}")
    lines.append("  and by itself, each of the methods of explanations:")
    lines += [f"    {name:24}{figure.shows}" for name, figure in known.items() if figure.group is None]
    lines += ["", "kernel= takes rows of numbers, 'kernel=[[0,-1,0],[-1,4,-1],[0,-1,0]]', or a name:"]
    lines += [f"  {name:26}{kernel.meaning}" for name, kernel in named_kernels().items()]
    return lines
