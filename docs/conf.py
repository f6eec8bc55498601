"""How the documentation becomes a site: python -m sphinx --fail-on-warning -c docs . build/site

The source folder is the repository, so that a link between README.md, docs/ and a module means on the site what it
means in the repository. The API reference imports our modules without TensorFlow, Keras or JAX: stand-ins take their
place, and signatures are those of the code.
"""

import re
import sys
from typing import Union

from sphinx.ext.autodoc.mock import MockFinder, _MockObject
from sphinx.ext.napoleon import GoogleDocstring

from convlens.core.version import __version__

# For as long as this process lives: the names of our packages are only loaded when autodoc asks for them, outside of
# the moment for which its own setting, autodoc_mock_imports, would hold.
sys.meta_path.insert(0, MockFinder(["jax", "keras", "tensorflow", "tensorflow_datasets", "tensorboard"]))
# Without these, a module with an annotation such as `keras.Model | Network` cannot be imported.
_MockObject.__or__ = lambda stand_in, other: Union[stand_in, other]  # noqa: UP007  stand-ins are no types
_MockObject.__ror__ = lambda stand_in, other: Union[other, stand_in]  # noqa: UP007

project = "convlens"
author = "the authors of convlens"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "docs/**"]
exclude_patterns = [".*", "build", "dist", "runs", "tests", "docs/site", "**/__pycache__"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # levels of headings that a link may lead to, by the names that GitHub gives them

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "imported-members": True}
default_role = "code"  # docstrings write `name` for code, as Markdown does
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"convlens {release}"
html_extra_path = ["site"]  # index.html at the top leads to docs/index.html
html_copy_source = False
html_show_copyright = False


def _as_restructured_text(app, what, name, obj, options, lines: list[str]) -> None:
    """Our docstrings, with sections as Google's and code in Markdown's fences, as Sphinx reads them."""
    written, indent = [], None
    for line in lines:
        fence = re.match(r"( *)```(\w*)$", line)
        if fence and indent is None:
            indent = fence[1]
            written += ["", f"{indent}.. code-block:: {fence[2] or 'text'}", ""]
        elif fence:
            indent = None
            written.append("")
        else:
            written.append(line if indent is None or not line.strip() else f"   {line}")
    # Of a property, what stands before the first colon would be taken for its type.
    kind = "method" if what == "property" else what
    lines[:] = GoogleDocstring(written, what=kind, name=name, obj=obj, options=options).lines()


def setup(app) -> None:
    app.connect("autodoc-process-docstring", _as_restructured_text)
