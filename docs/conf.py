"""The site, built by `sphinx-build -W docs site`. It needs no network.

The pages are those that people read in the repository, so their links lead to files. On the site there is a page of examples, and
the start page in place of the README.
"""

import re
from typing import Any

from sphinx.application import Sphinx

from unlimcall_async import __version__

project = "unlimcall-async"
author = "The maintainers of unlimcall-async"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_llms_txt"]
myst_heading_anchors = 3
# Blocks of code have languages that Pygments does not know, such as `log`; and `type[Event]` in a signature is no attribute `type`.
suppress_warnings = ["misc.highlighting_failure", "ref.python"]

html_theme = "furo"
html_title = f"unlimcall-async {__version__}"
html_show_sourcelink = html_show_copyright = False
html_copy_source = True

# In docstrings, a text in single backquotes is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "imported-members": True}
nitpicky = False

llms_txt_title = "unlimcall-async"
llms_txt_summary = (
    "An asyncio client for the UnlimCall telephony API: call records in bulk, calls, webhooks, syncs and proofs."
)

# Examples of code in docstrings are indented, as people read them in a terminal. Docutils takes such lines for a quotation.
_INDENTED = re.compile(r"^ {4,}\S")


def _to_blocks(_app: Sphinx, _what: str, _name: str, _value: Any, _options: Any, lines: list[str]) -> None:
    """Turn each indented paragraph of a docstring into a block of code."""
    found: list[str] = []
    for number, line in enumerate(lines):
        begins = _INDENTED.match(line) and number and not lines[number - 1].strip()
        if begins and not (found and any(_INDENTED.match(before) for before in _paragraph_before(found))):
            found += ["::", ""]
        found.append(line)
    lines[:] = found


def _paragraph_before(lines: list[str]) -> list[str]:
    """Return the last lines that are not empty."""
    paragraph: list[str] = []
    for line in reversed(lines):
        if not line.strip():
            if paragraph:
                break
            continue
        paragraph.append(line)
    return paragraph


def _on_the_site(_app: Sphinx, _name: str, source: list[str]) -> None:
    """Lead links to files of the repository to their place on the site."""
    text = re.sub(r"\]\((?:\.\./)+examples/(\w+)\.py\)", lambda match: f"](/examples.md#{match[1]}py)", source[0])
    text = re.sub(r"\]\((?:\.\./)+README\.md(?:#[\w-]*)?\)", "](/index.md)", text)
    source[0] = re.sub(r"\]\((?:\.\./)+CHANGELOG\.md\)", "](/changelog.md)", text)


def setup(app: Sphinx) -> None:
    """Register what the pages need."""
    app.connect("autodoc-process-docstring", _to_blocks)
    app.connect("source-read", _on_the_site)
