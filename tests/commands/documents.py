"""What the documents tell a person to type: commands, words for a command, blocks of Python."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARKDOWN = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
YAML = sorted((ROOT / "configs").rglob("*.yaml"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

LANGUAGES = ("bash", "python", "text")  # of a fenced block; text: what is printed, or lies in a folder
COMMAND = re.compile(r"(?:[A-Z_]+=\S* )*(?:pytest$|(?:\.ci/run|convlens|pip|pytest|python3?|rm|ruff|tensorboard) )")
WORDS = re.compile(r"'?[a-z_][\w.]*=\S*(?: '?[a-z_][\w.]*=\S*)*")
FENCE = re.compile(r"^ *```(\w*)$")
SPAN = re.compile(r"(?<!`)`((?:[^`\n]|\n(?!\s*\n))+)`(?!`)")
QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.")


@dataclass(frozen=True)
class Passage:
    """Something to type, and where it stands: the file, from the repository's root, and the line."""

    text: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Document:
    """Markdown with its fenced blocks apart: their language, their first line's number and their lines."""

    file: str
    prose: str  # blocks are blank lines in it
    blocks: tuple[tuple[str, int, tuple[str, ...]], ...]


def documents() -> list[Document]:
    """Every Markdown file, and every Markdown cell of a notebook."""
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in MARKDOWN}
    for path in NOTEBOOKS:
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], start=1):
            if cell["cell_type"] == "markdown":
                texts[f"{path.relative_to(ROOT)}, cell {number}"] = "".join(cell["source"])
    return [document(text, file) for file, text in texts.items()]


def document(text: str, file: str) -> Document:
    """Raises ValueError for a fenced block whose first line does not say what it holds."""
    prose, blocks, open_block = [], [], None
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if fence and open_block is None:
            if fence[1] not in LANGUAGES:
                raise ValueError(f"{file}:{number}: a block must say what it holds: {', '.join(LANGUAGES)}")
            open_block = (fence[1], number + 1, [])
        elif fence:
            language, first, lines = open_block
            blocks.append((language, first, tuple(lines)))
            open_block = None
        elif open_block is not None:
            open_block[2].append(line)
            prose.append("")
            continue
        prose.append("" if fence else line)
    return Document(file, "\n".join(prose), tuple(blocks))


def commands() -> list[Passage]:
    """Every command of every document, wherever it stands, as it is to be typed and without its comment."""
    in_markdown = [command for text in documents() for command in (*block_commands(text), *spans(text, COMMAND.match))]
    return in_markdown + [command for path in YAML for command in header_commands(path)]


def words() -> list[Passage]:
    """Every span of prose, and line of a block of text, that is nothing but words for a command: `figures=units`."""
    return [
        passage for text in documents() for passage in (*spans(text, WORDS.fullmatch), *lines_of(text, WORDS.fullmatch))
    ]


def python_blocks() -> dict[str, list[Passage]]:
    """The Python blocks of each document that has any, in their order."""
    blocks = {
        text.file: [
            Passage("\n".join(lines), text.file, first) for kind, first, lines in text.blocks if kind == "python"
        ]
        for text in documents()
    }
    return {file: passages for file, passages in blocks.items() if passages}


def commands_in_output() -> list[Passage]:
    """What looks like a command in a block that is said to hold none."""
    return [line for text in documents() for line in lines_of(text, COMMAND.match)]


def block_commands(text: Document) -> Iterator[Passage]:
    """A command a line of each `bash` block; a line that ends in a backslash goes on."""
    for kind, first, lines in text.blocks:
        begun, start = "", first
        for number, line in enumerate(lines if kind == "bash" else (), start=first):
            begun, start = (begun, start) if begun else ("", number)
            if line.endswith("\\"):
                begun += line[:-1].rstrip() + " "
                continue
            whole = without_comment(begun + line.strip())
            begun = ""
            if whole:
                yield Passage(whole, text.file, start)


def spans(text: Document, chosen: Callable[[str], object]) -> Iterator[Passage]:
    """The spans between single backticks that are chosen; one may be broken over two lines."""
    for span in SPAN.finditer(text.prose):
        content = " ".join(span[1].split())
        if chosen(content):
            yield Passage(content, text.file, text.prose.count("\n", 0, span.start()) + 1)


def lines_of(text: Document, chosen: Callable[[str], object]) -> Iterator[Passage]:
    """The lines of `text` blocks that are chosen."""
    for kind, first, lines in text.blocks:
        for number, line in enumerate(lines, start=first):
            content = " ".join(line.split())
            if kind == "text" and chosen(content):
                yield Passage(content, text.file, number)


def header_commands(path: Path) -> Iterator[Passage]:
    """Commands in the comments of a YAML file: a line of their own, or the end of one; remarks stand in brackets."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        comment = re.match(r"# +(?:.*: )?(.*)", line)
        if comment and COMMAND.match(comment[1]):
            yield Passage(re.sub(r" {2,}\(.*\)$", "", comment[1]), str(path.relative_to(ROOT)), number)


def without_comment(line: str) -> str:
    """A line of a shell without the comment at its end."""
    masked = QUOTED.sub(lambda quoted: "_" * len(quoted[0]), line)
    return line[: re.search(r"(?:^|\s)#|$", masked).start()].rstrip()


def unquoted_patterns(line: str) -> str:
    """The first character that a shell, bash or zsh, would not hand on as it stands; empty where there is none."""
    left = re.search(r"[\[\]{}*?]", QUOTED.sub("", line))
    return left[0] if left else ""


def headings(text):
    """The anchors that a Markdown page has for its headings, as GitHub names them."""
    anchors = []
    for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        count = sum(re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", other) is not None for other in anchors)
        anchors.append(f"{anchor}-{count}" if count else anchor)
    return anchors
