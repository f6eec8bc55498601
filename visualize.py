"""Draws what a network learned, or what one kernel does: open -> look at images -> draw -> figures/."""

import re
from collections.abc import Sequence
from pathlib import Path

from convlens.configs import Visualize
from convlens.configs.cli import command
from convlens.core.errors import UserError
from convlens.core.quiet import quietly
from convlens.gallery.choices import check_choices
from convlens.gallery.index import write_page
from convlens.gallery.kernel import kernel_drawings
from convlens.gallery.photos import asks_for_data
from convlens.gallery.progress import Bars
from convlens.gallery.registry import Plan, chosen_figures, planned
from convlens.gallery.subject import Subject
from convlens.training import Run


def visualize(config: Visualize) -> Path:
    """Draws the figures that are asked for and returns the folder that they are in."""
    config = resolved(config)
    figures = chosen_figures(config.figures)
    if config.kernel is not None:
        run = open_run(config) if config.run or (config.image and asks_for_data(config)) else None
        plans, out, bars = [Plan("kernel", kernel_drawings(config, run))], folder(config, run), Bars()
    else:
        run = open_run(config) if config.model is None else None
        check_choices(run.model_path if run else Path(config.model), config)
        subject = Subject(config, run, figures)
        # Told before Keras is loaded: a run that cannot be compared, a class that the run does not know.
        _ = (subject.other if config.b else None, subject.target if run else None)
        with quietly():
            import keras  # noqa: F401  here, so that whatever needs it first does so in silence
        plans, out, bars = planned(subject, figures), folder(config, run), subject.bars
    save(plans, out, bars)
    return out


def resolved(config: Visualize) -> Visualize:
    """The same, with `a` as the run that is looked at; comparing draws its own group where no figure is named."""
    if config.a is None:
        return config
    chosen = "figures" in config.typed or config.figures != Visualize().figures
    figures = config.figures if chosen else ["comparison"]
    found = config.model_copy(update={"run": config.a, "figures": figures})
    found.remember(config.typed)
    return found


def open_run(config: Visualize) -> Run:
    """The run that is asked for, or the newest."""
    return Run.open(config.run) if config.run else Run.newest(config.runs_dir)


def folder(config: Visualize, run: Run | None) -> Path:
    """Where the figures go."""
    if config.out:
        return Path(config.out)
    if config.b:
        other = Run.open(config.b)
        return run.figures_dir / f"beside-{other.name}-{other.id}"
    return run.figures_dir if run and (config.run or config.kernel is None) else Path("figures")


def save(plans: list[Plan], out: Path, bars: Bars) -> None:
    """Draw each figure, write it as PNG, SVG and arrays, and tell where."""
    from convlens.visualization import save_figure

    written, beside = [], []
    with bars, bars.bar("Drawing", sum(len(plan.drawings) for plan in plans)) as told:
        for plan in plans:
            try:
                for drawing in plan.drawings:
                    figure, arrays = drawing.draw()
                    written.append(file_name(drawing.name))
                    save_figure(figure, arrays, out / written[-1])
                    told(len(written))
                if plan.beside:
                    beside.extend(plan.beside(out))
            except UserError as error:
                if plan.by_name:
                    raise
                print(f"No figure '{plan.figure}': {error}")
    page = write_page(out, f"Figures of {out}")
    if written:
        print(f"{len(written)} figures in {out}, each as .png, .svg and, with the arrays behind it, .npz:")
    for name in written:
        print(f"  {name}.png")
    for path in beside:
        print(f"  {path.relative_to(out)}" if path.is_relative_to(out) else f"Written {path}")
    print(f"All on one page: {page}")


def file_name(name: str) -> str:
    """A drawing's name as that of a file, without suffix."""
    return re.sub(r"[^\w.@-]+", "_", name)[:150]


def main(words: Sequence[str] | None = None) -> None:
    """The command: what `words`, or the script's command line, ask for."""
    command("visualize", Visualize, visualize, words)


if __name__ == "__main__":
    main()
