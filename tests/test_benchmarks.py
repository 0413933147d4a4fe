"""The benchmarks run, and their checks hold, on little data. What they measure is not judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.planner_oracle import Oracle, along, in_chains, unsorted
from benchmarks.planner_traffic import start_times

pytestmark = pytest.mark.own_rules

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark as its docstring says."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 # it is ours


@pytest.mark.slow
def test_requests_are_counted_and_every_pull_is_compared() -> None:
    sizes = "--sizes", "3000", "--traffic", "uniform,sparse", "--concurrency", "4"
    done = run("benchmarks/requests.py", "--tables", "year", *sizes)
    assert done.returncode == 0, done.stderr
    assert "Every pull gave exactly the records." in done.stdout
    assert "sparse" in done.stdout


@pytest.mark.slow
def test_what_users_meet_besides_a_year_is_counted_and_compared() -> None:
    done = run("benchmarks/requests.py", "--quick", "--tables", "dense,small,cut,first", "--sizes", "3000")
    assert done.returncode == 0, done.stdout
    for title in ("DENSE TRAFFIC", "SMALL PULLS", "PULLS THAT ARE CUT OFF", "THE FIRST RECORD"):
        assert title in done.stdout


@pytest.mark.slow
def test_the_price_of_a_verification_is_told() -> None:
    done = run("benchmarks/webhooks.py", "--rounds", "3")
    assert done.returncode == 0, done.stderr
    assert "verify" in done.stdout


@pytest.mark.slow
def test_the_price_of_telemetry_is_told() -> None:
    done = run("benchmarks/telemetry.py", "--rounds", "3")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.slow
def test_a_follows_costs_are_told_and_its_checkpoint_comes_back() -> None:
    done = run("benchmarks/follow.py", "--records", "2400")
    assert done.returncode == 0, done.stderr
    assert "behind a batch of 1000" in done.stdout


@pytest.mark.slow
def test_a_sync_is_measured_beside_other_ways_and_every_table_is_checked() -> None:
    done = run("benchmarks/sync.py", "--records", "1000", "--rounds", "1", "--destinations", "postgres")
    assert done.returncode == 0, done.stderr
    assert "Every table has the rows of the server." in done.stdout
    # The memory of so few records is not flat, and their times are not judged. What is written is exact at any size.
    exact = [line for line in done.stdout.splitlines() if "rows written a day later" in line]
    assert [line.split(":")[0] for line in exact] == ["postgres"]
    assert all(line.endswith("ok") for line in exact)


@pytest.mark.slow
def test_a_claim_that_waited_for_a_proof_is_handed_out_at_once() -> None:
    """With this much look-ahead, the output stood still: the claim was accepted by the search for the next question alone."""
    arguments = (
        "--traffic campaigns --sizes 100000 --orders oldest_first --directions oldest --concurrency 4 --tables year"
    )
    program = (
        "import sys; from unlimcall_async.cdrs.planner import arrival; arrival._CHAIN, arrival._AHEAD_ALONG = 8, 1 / 2\n"
        f"from benchmarks.requests import main; sys.exit(main({arguments.split()!r}))"
    )
    done = run("-c", program)
    assert (done.returncode, "WRONG" in done.stdout) == (0, False), done.stdout


@pytest.mark.slow
def test_a_pull_of_many_accounts_is_measured_and_every_id_is_checked() -> None:
    sizes = "--accounts", "40", "--records", "1100", "--slow", "0.05"
    done = run("benchmarks/accounts.py", *sizes, "--at-once", "4,16")
    assert done.returncode == 0, done.stderr
    assert "Every account has its records, and just the revoked ones failed." in done.stdout
    assert done.stdout.count("2 failed") == 2


def test_the_oracle_takes_as_many_requests_as_pages_of_a_server_that_sorts() -> None:
    """Every window of 31 days must be asked, and every thousand records take a page. Without an order the oracle errs, too."""
    starts = start_times("uniform", 50_500, 0)
    oracle = Oracle("uniform", 50_500, 0)
    assert along(starts) == 51
    assert along(starts) <= in_chains(starts, oracle, 10) <= 56
    assert 53 <= unsorted(starts, oracle) <= 62
    assert along([]) == 12
