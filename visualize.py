"""Draws what a network learned, or what one kernel does: open -> look at images -> draw -> figures/."""

if __name__ == "__main__":
    from convlens.core.stopping import begin

    begin()  # before all other imports, in whose seconds Ctrl-C may come too

from collections.abc import Sequence
from pathlib import Path

from convlens.configs import Visualize
from convlens.configs.cli import command
from convlens.core.errors import ModelError, UserError
from convlens.core.quiet import quietly
from convlens.gallery.choices import check_choices, described_layers
from convlens.gallery.drawn_with import words_for
from convlens.gallery.extraction import kernel_drawings
from convlens.gallery.help_lines import help_lines
from convlens.gallery.inputs import FigureInputs
from convlens.gallery.photos import asks_for_data
from convlens.gallery.planning import Plan, planned
from convlens.gallery.registry import chosen_figures
from convlens.gallery.saving import save
from convlens.training import Run


def visualize(config: Visualize) -> Path:
    """Draws the figures that are asked for and returns the folder that they are in."""
    config = resolved(config)
    chosen_figures(config.figures)  # a misspelt one is refused first
    run = open_run(config)
    plans = plans_of_kernel(config, run) if config.kernel is not None else plans_of_network(config, run)
    folder = folder_of(config, run)
    save(plans, folder, layers_of(config, run))
    return folder


def resolved(config: Visualize) -> Visualize:
    """The same, with `a` as the run that is looked at; comparing draws its own group where no figure is named."""
    if config.a is None:
        return config
    chosen = "figures" in config.typed or config.figures != Visualize().figures
    figures = config.figures if chosen else ["comparison"]
    changed = config.model_copy(update={"run": config.a, "figures": figures})
    changed.remember(config.typed)
    return changed


def open_run(config: Visualize) -> Run | None:
    """The run that is asked for, or the newest; None where a model file, or a kernel on photos, needs none."""
    if config.model is not None and config.kernel is None:
        return None
    if config.kernel is not None and not config.run and not (config.image and asks_for_data(config)):
        return None
    return Run.open(config.run) if config.run else Run.newest(config.runs_dir)


def plans_of_kernel(config: Visualize, run: Run | None) -> list[Plan]:
    """The kernel that the user gives, and what it does to photos."""
    return [Plan("kernel", kernel_drawings(config, run), words=words_for(config, "kernel"))]


def plans_of_network(config: Visualize, run: Run | None) -> list[Plan]:
    """The figures of a run or of a model file."""
    if run is None and config.model is None:
        raise UserError("There is no network; give run=... or model=...")
    check_choices(run.model_path if run else Path(config.model or ""), config)
    inputs = FigureInputs(config, run, chosen_figures(config.figures))
    # Refused before Keras is loaded: a run that cannot be compared, a class that the run does not know.
    _ = (inputs.second_run if config.b else None, inputs.target if run else None)
    with quietly():
        import keras  # noqa: F401  here, so that whatever needs it first does so in silence
    return planned(inputs)


def layers_of(config: Visualize, run: Run | None) -> list[str]:
    """The convolutions of the network, in its order; none of a model that cannot be read, where none was needed."""
    path = run.model_path if run else config.model
    try:
        return list(described_layers(Path(path))) if path else []
    except ModelError:
        return []


def folder_of(config: Visualize, run: Run | None) -> Path:
    """Where the figures go."""
    if config.out:
        return Path(config.out)
    if config.b and run is not None:
        second = Run.open(config.b)
        return run.figures_dir / f"beside-{second.name}-{second.id}"
    return run.figures_dir if run and (config.run or config.kernel is None) else Path("figures")


def main(words: Sequence[str] | None = None) -> None:
    """The command: what `words`, or the script's command line, ask for."""
    command("visualize", Visualize, visualize, words, choices=help_lines)


if __name__ == "__main__":
    main()
