"""How `cdrs prove` reads a file and its manifest, and writes the proof."""

from __future__ import annotations

from pathlib import Path

import click

from unlimcall_async.cli import proof_facts, pull_manifest, record_files
from unlimcall_async.cli.files import exists, is_same, store
from unlimcall_async.cli.output import UnusableError, note, write, write_json, write_table
from unlimcall_async.cli.progress import working
from unlimcall_async.cli.proof_facts import Proof
from unlimcall_async.cli.proof_page import page
from unlimcall_async.cli.verify_report import edited_rows


def prove_file(path: Path, html: Path | None, *, windows: bool, force: bool, as_json: bool) -> bool:
    """Write the proof of a file, and return whether the file is as its manifest says."""
    if html is not None and any(is_same(html, each) for each in (path, pull_manifest.path_of(path))):
        raise click.UsageError(f"--html would replace what is to be proven, {html}: name another file")
    if html is not None and exists(html) and not force:
        raise click.UsageError(f"{html} exists: --force replaces it")
    proof = _proof_of(path)
    if html is not None:
        store(html, page(proof, windows=windows), replace=force)
    if as_json:
        write_json(proof.to_dict(windows=windows))
    elif html is None:
        _write(proof, windows=windows)
    else:
        note(f"{html} is written. {proof.verdict}")
    return not proof.edited


def _proof_of(path: Path) -> Proof:
    """Read a file and its manifest.

    Raises:
        UnusableError: A file cannot be read, or the manifest is missing.
    """
    if record_files.kind_of(path) == "manifest":
        return Proof.of(str(path), pull_manifest.read(path), None)
    beside = pull_manifest.path_of(path)
    try:
        manifest = pull_manifest.read(beside)
    except FileNotFoundError:
        raise UnusableError(
            f"there is no {beside}: nothing says why {path} is complete; pull it again, without --no-manifest"
        ) from None
    with working(f"Reading {path.name}"):
        return Proof.of(
            str(path), manifest, proof_facts.summed(record_files.records_in(path), manifest.start, manifest.end)
        )


def _write(proof: Proof, *, windows: bool) -> None:
    """Write the proof as text, as wide as the terminal at most."""
    _write_lines(proof.verdict)
    if proof.edited:
        write("\n")
        write_table(proof_facts.EDITED_HEAD, edited_rows(proof.edited))
    write("\n")
    write_table((), proof.facts())
    if proof.sums is not None:
        write("\nSUMS BY CURRENCY\n\n")
        write_table(proof_facts.MONEY_HEAD, proof.money(), sides="<>>")
    write("\nWHY NOTHING IS MISSING\n\n")
    _write_lines(proof.why(), *proof_facts.EXPLAINED)
    write("\n")
    if windows:
        write_table(proof_facts.WINDOWS_HEAD, proof.windows(), sides="<<>>>")
    else:
        write_table(proof_facts.WINDOWS_BY_DAY_HEAD, proof.windows_by_day(), sides="<>>>")
    write("\nWHAT IS ASSUMED OF THE SERVER\n\n")
    write_table((), [("-", line) for line in proof.manifest.assumptions])
    if rows := proof.unreadable():
        write("\nROWS THAT CANNOT BE READ, in no count, no sum and no digest\n\n")
        write_table(proof_facts.UNREADABLE_HEAD, rows)
    write("\nDIGESTS OF THE DAYS\n\n")
    write_table(proof_facts.DAY_HEAD, proof.days(), sides="<>")


def _write_lines(*lines: str) -> None:
    write_table((), [(line,) for line in lines])
