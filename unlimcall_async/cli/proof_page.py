"""A proof as one page of HTML, which needs nothing else: no script, no font, no network. No I/O.

Every text is escaped. The page follows the reader's light or dark colours, and prints black on white, on A4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from unlimcall_async.cli import proof_facts
from unlimcall_async.cli.proof_facts import Proof
from unlimcall_async.cli.verify_report import edited_rows
from unlimcall_async.cli.wording import plain

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #c9d1d9; --soft: #f3f5f7; --good: #14652f; --bad: #a11622 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8ee; --paper: #15181c; --line: #3b434d; --soft: #20252b; --good: #6fd08c; --bad: #ff8d85 }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; overflow-wrap: anywhere }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line) }
.verdict { padding: .6rem .9rem; border-left: .3rem solid var(--good); background: var(--soft) }
.verdict.bad { border-color: var(--bad); color: var(--bad); font-weight: 600 }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line) }
th { font-weight: 600 }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.digest { font-family: ui-monospace, monospace; font-size: .8rem; overflow-wrap: anywhere }
@page { size: A4; margin: 18mm 15mm }
@media print {
  :root { color-scheme: light; --ink: #000; --paper: #fff; --line: #999; --soft: #fff; --good: #000; --bad: #000 }
  body { max-width: none; padding: 0; font-size: 9.5pt }
  .wide { overflow: visible }
  h2 { break-after: avoid }
  tr { break-inside: avoid }
  thead { display: table-header-group }
}
"""

# Columns of numbers, and of digests.
_NUMBERS: Final = frozenset(
    {"records", "sum", "short", "sought", "rows", "limit", "count", "in the manifest", "in the file"}
)


def page(proof: Proof, *, windows: bool) -> str:
    """Return the page.

    Args:
        proof: The proof.
        windows: Whether each window is in a table, and not only a summary of each day.
    """
    bad = " bad" if proof.edited else ""
    parts = [
        f"<h1>Proof of {_text(proof.name)}</h1>",
        f'<p class="verdict{bad}">{escape(proof.verdict)}</p>',
        _table(proof_facts.EDITED_HEAD, edited_rows(proof.edited)) if proof.edited else "",
        _facts(proof.facts()),
    ]
    if proof.sums is not None:
        parts += [_heading("Sums by currency"), _table(proof_facts.MONEY_HEAD, proof.money())]
    parts += [_heading("Why nothing is missing"), _paragraphs([proof.why(), *proof_facts.EXPLAINED])]
    if windows:
        parts.append(_table(proof_facts.WINDOWS_HEAD, proof.windows()))
    else:
        parts.append(_table(proof_facts.WINDOWS_BY_DAY_HEAD, proof.windows_by_day()))
    parts += [_heading("What is assumed of the server"), _list(proof.manifest.assumptions)]
    if proof.manifest.unreadable:
        parts += [
            _heading("Rows that cannot be read"),
            _paragraphs(["They are in no count, no sum and no digest."]),
            _table(proof_facts.UNREADABLE_HEAD, proof.unreadable()),
        ]
    parts += [_heading("Digests of the days"), _table(proof_facts.DAY_HEAD, proof.days())]
    body = "\n".join(filter(None, parts))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Proof of {_text(proof.name)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    """Return a text for the page. A file's name may hold what UTF-8 cannot, and characters that change the direction of others."""
    return escape(plain(text))


def _heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def _paragraphs(texts: Iterable[str]) -> str:
    return "\n".join(f"<p>{escape(text)}</p>" for text in texts)


def _list(texts: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(text)}</li>' for text in texts)}</ul>"


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td{_class(name)}>{escape(value)}</td></tr>' for name, value in rows
    )
    return f'<div class="wide"><table><tbody>{body}</tbody></table></div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    names = "".join(f'<th scope="col"{_class(name)}>{escape(name)}</th>' for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td{_class(name)}>{escape(cell)}</td>' for name, cell in zip(head, row, strict=True))}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'


def _class(name: str) -> str:
    if name in _NUMBERS:
        return ' class="number"'
    return ' class="digest"' if name.startswith("digest") else ""
