"""The site, built by `sphinx-build -W docs site`. It needs no network, and the extra `docs`.

The pages are those that people read in the repository, so their links lead to files. On the site there is a page of examples, and
the start page in place of the README. Each page is there as plain text, too, and `llms-full.txt` has all of them.
"""

import re
from typing import Any

from docutils.nodes import Element, paragraph
from sphinx.addnodes import toctree
from sphinx.application import Sphinx
from sphinx.builders.text import TextBuilder
from sphinx.writers.text import TextTranslator

from unlimcall_async import __version__

project = "unlimcall-async"
author = "The maintainers of unlimcall-async"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
# Blocks of code have languages that Pygments does not know, such as `log`; and `type[Event]` in a signature is no attribute `type`.
suppress_warnings = ["misc.highlighting_failure", "ref.python"]

html_theme = "furo"
html_title = f"unlimcall-async {__version__}"
html_show_sourcelink = html_show_copyright = html_copy_source = False
html_static_path, html_css_files = ["_static"], ["site.css"]

# In docstrings, a text in single backquotes is code.
default_role = "code"
# Dashes alone: a quotation mark in the text of a docstring is one of Python.
smartquotes_action = "D"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "imported-members": True}
nitpicky = False

# A page with such a directive shows what stands elsewhere: docstrings, or a file. All other pages are readable as they are.
_SHOWS_MORE = re.compile(r"^```\{(?!toctree)", re.MULTILINE)

# Stands for a colon while napoleon reads a docstring.
_COLON = "\0"
# In the type of an attribute. Behind a `~` Sphinx shows the last part alone, as in signatures.
_FULL_NAME = re.compile(r"(?<![\w.])((?:\w+\.)+\w+)")
# Examples of code in docstrings are indented, as people read them in a terminal. Docutils takes such lines for a quotation.
_INDENTED = re.compile(r"^ {4,}\S")


def _hide_colon(_app: Sphinx, what: str, _name: str, _value: Any, _options: Any, lines: list[str]) -> None:
    """Hide the colons in the first line of a property from napoleon, which takes what stands before one for a type."""
    if what == "property" and lines:
        lines[0] = lines[0].replace(":", _COLON)


def _docstring(_app: Sphinx, what: str, _name: str, _value: Any, _options: Any, lines: list[str]) -> None:
    """Turn each indented paragraph of a docstring into a block of code.

    A constant has only the docstring of its type, and the text of the page instead. Of a module the first paragraph is for users,
    and the rest is a map for those who change the module.
    """
    if what == "data":
        lines.clear()
    elif what == "module" and "" in lines:
        del lines[lines.index("") :]
    lines[:] = [_FULL_NAME.sub(r"~\1", line) if ":type:" in line else line.replace(_COLON, ":") for line in lines]
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


def _without_nothing(
    _app: Sphinx, _what: str, _name: str, _value: Any, _options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Return a signature in which `...` stands for the default that attrs makes anew for each object."""
    return signature and signature.replace("= NOTHING", "= ..."), returns


def _on_the_site(text: str) -> str:
    """Return a page whose links to files of the repository lead to their place on the site."""
    text = re.sub(r"\]\((?:\.\./)+examples/(\w+)\.py\)", lambda match: f"](/examples.md#{match[1]}py)", text)
    text = re.sub(r"\]\((?:\.\./)+README\.md(?:#[\w-]*)?\)", "](/index.md)", text)
    return re.sub(r"\]\((?:\.\./)+CHANGELOG\.md\)", "](/changelog.md)", text)


def _read(_app: Sphinx, _name: str, source: list[str]) -> None:
    source[0] = _on_the_site(source[0])


class _PlainText(TextTranslator):
    """Write code in backquotes, as Markdown does, because quotation marks belong to the code."""

    def visit_literal(self, node: Element) -> None:  # noqa: ARG002 # as docutils calls it
        self.add_text("`")

    depart_literal = visit_literal


def _write_plain(app: Sphinx, failure: Exception | None) -> None:
    """Write each page as plain text, `llms.txt` with a list of them, and `llms-full.txt` with all of them.

    The links are relative, so that the site may lie in any folder.
    """
    if failure or app.builder.format != "html":
        return
    start = app.env.get_doctree("index")
    summary = next(start.findall(paragraph)).astext().replace("\n", " ")
    contents = [f"# {project}", "", f"> {summary}", "", "All pages in one file: [llms-full.txt](llms-full.txt)"]
    full = [_plain(app, "index")]
    for tree in start.findall(toctree):
        contents += ["", f"## {tree['caption']}", ""]
        for _, name in tree["entries"]:
            contents.append(f"- [{app.env.titles[name].astext()}]({name}.txt)")
            full.append(_plain(app, name))
    (app.outdir / "llms.txt").write_text("\n".join(contents) + "\n")
    (app.outdir / "llms-full.txt").write_text("\n\n---\n\n".join(full))


def _plain(app: Sphinx, name: str) -> str:
    """Write a page as plain text, and return the text: its Markdown, or what the page shows if the Markdown names other files."""
    path = app.outdir / f"{name}.txt"
    source = app.env.doc2path(name).read_text()
    if _SHOWS_MORE.search(source):
        builder = TextBuilder(app, app.env)
        builder.prepare_writing(set())
        builder.write_doc(name, app.env.get_and_resolve_doctree(name, builder))
    else:
        path.write_text(_on_the_site(source))
    return path.read_text()


def setup(app: Sphinx) -> None:
    """Register what the pages need."""
    app.set_translator("text", _PlainText)
    app.connect("autodoc-process-docstring", _hide_colon, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _without_nothing)
    app.connect("source-read", _read)
    app.connect("build-finished", _write_plain)
