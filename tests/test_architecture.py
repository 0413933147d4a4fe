"""Imports point one way, the core stays pure, and the oracle borrows nothing from what it judges."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.own_rules

PACKAGE = Path(__file__).parents[1] / "unlimcall_async"

# From the bottom up: a module may import from the rows before its own, and from its own row.
LAYERS: list[set[str]] = [
    {
        *(
            "_version",
            "_clock",
            "_durable",
            "_error_root",
            "_extras",
            "_from_plain",
            "_html",
            "_json",
            "_lazy",
            "_log_setup",
            "_plain",
        ),
        *("_platform", "_secrets", "_spans", "_threads", "_urls", "_watched", "_zones"),
    },
    {"_schema"},
    {"_model"},
    {"models"},
    {"_argument_kinds", "_arguments", "cdrs.times"},
    {"_columns", "cdrs.checkpoint"},
    {"cdrs.follow_checkpoint"},
    {"cdrs.checkpoint_journal"},
    {"cdrs.checkpoint_file"},
    {"errors"},
    {"_pages", "proof.canonical"},
    {"_codec", "proof.digest"},
    {"proof.manifest"},
    {"http.body_memory", "http.certificates", "http.connector", "http.pace", "http.turns"},
    {"shared.errors"},
    {"http.endpoints", "http.messages", "http.rate_limits", "http.server_clock", "cdrs.stats"},
    {"http.bucket", "shared.memory"},
    {"shared.outlook"},
    {"_progress_words", "cdrs.lateness", "cdrs.notebook", "cdrs.poll_clock"},
    {"cdrs.rows", "cdrs.iteration"},
    {"cdrs.legs"},
    {"cdrs.output_order", "cdrs.unreadable"},
    {"cdrs.position", "cdrs.marks", "cdrs.planner.holes", "cdrs.planner.margins"},
    {"cdrs.planner.page", "cdrs.planner.density"},
    {"cdrs.planner.cuts", "cdrs.planner.forecast"},
    {"proof.comparison", "proof.counts", "proof.ledger"},
    {"cdrs.cells", "cdrs.changes"},
    {"cdrs.tail"},
    {"cdrs.planner.bounds", "cdrs.planner.durations", "cdrs.planner.traffic"},
    {"cdrs.page_reading", "cdrs.planner.shown"},
    {"cdrs.planner.tasks"},
    {"cdrs.planner.parts"},
    {"cdrs.planner.tally"},
    {"cdrs.planner.windows", "cdrs.planner.page_cap", "cdrs.planner.unplaced"},
    {"cdrs.planner.gauge", "cdrs.planner.resolver"},
    {"cdrs.planner.known_server"},
    {"cdrs.learned"},
    {"cdrs.planner.seek", "cdrs.planner.sizes"},
    {"cdrs.planner.arrival", "cdrs.planner.estimates"},
    {"cdrs.planner.divide"},
    {"cdrs.planner.plan"},
    {"cdrs.planner.checks", "cdrs.planner.claims", "cdrs.planner.full_pages"},
    {"cdrs.planner.choice", "cdrs.planner.dense"},
    {"cdrs.planner.planner"},
    {"http.proxies"},
    {"http.causes", "http.network"},
    {"http.advice"},
    {"http.answers", "http.outcome"},
    {"http.retry"},
    {"http.limiter", "http.observer", "http.transport"},
    {"http.limiters"},
    {"http.pool", "http.pull", "shared.server"},
    {"shared.limiter"},
    {"shared.limits"},
    {"shared"},
    {"http.exchange"},
    {"http.caller"},
    {"http.raw"},
    {"cdrs.output", "proof"},
    {"cdrs.asking"},
    {"cdrs.views"},
    {"cdrs.stream"},
    {"proof.verification"},
    {"cdrs.polls"},
    {"cdrs.follow"},
    {"_bar", "cdrs.resource", "resources"},
    {"tracking"},
    {"columns"},
    {"client"},
    {
        *("webhooks.database", "webhooks.database_path", "webhooks.responses", "webhooks.signature"),
        *("webhooks.stores", "webhooks.wire"),
    },
    {"webhooks.adapters", "webhooks.events", "webhooks.sqlite", "webhooks.steady"},
    {"webhooks.handling", "webhooks.identity", "webhooks.recovery", "webhooks.verification"},
    {"webhooks.receiver"},
    {"webhooks.tracker"},
    {"webhooks"},
    {"_api"},
    {"sync.errors", "sync.forks", "sync.postgres_words", "sync.rows", "sync.state"},
    {"sync.entries", "sync.file_lock", "sync.table"},
    {"sync.diff", "sync.parquet_entries", "sync.pieces"},
    {"sync.destination"},
    {"sync.portions"},
    {"sync.threaded"},
    {"sync.database"},
    {"sync.duckdb", "sync.parquet_days", "sync.postgres", "sync.sqlite"},
    {"sync.run", "sync.url"},
    {"sync.engine", "sync.reading"},
    {"sync", "integrations"},
    {"accounts.errors", "accounts.listed", "accounts.schedule"},
    {"accounts.each", "accounts.options", "accounts.pull"},
    {"accounts.accounts"},
    {"accounts"},
    {"integrations.dlt"},
    {""},
    {"telemetry.conventions", "telemetry.watching"},
    {"telemetry.instruments"},
    {"telemetry.observer"},
    {"telemetry"},
    {"spark.options"},
    {"spark.offsets", "spark.ranges", "spark.tokens"},
    {"spark.pulling"},
    {"spark.source"},
    {"spark"},
    {"operations._checks", "operations.iteration", "operations.numbering", "operations.shares"},
    {"operations.caller_ids", "operations.failure_counts", "operations.spending"},
    {"operations.dispositions", "operations.summary_rows"},
    {"operations.balances", "operations.bill.amounts"},
    {"operations.balance_file"},
    {"operations.bill.columns", "operations.bill.times"},
    {"operations.bill.lines", "operations.bill.table"},
    {"operations.bill.invoice", "operations.bill.keys"},
    {"operations.bill.pairs", "operations.bill.sums"},
    {"operations.bill.calls"},
    {"operations.bill.reconciler"},
    {"operations.bill"},
    {"operations.carrier", "operations.charts", "operations.health", "operations.pool_state"},
    {"operations.credit", "operations.pool", "operations.summary", "operations.summary_notebook"},
    {"operations.credit_watch"},
    {"operations.assignment", "operations.event_sides"},
    {"operations.event_matching"},
    {"operations.event_habit"},
    {"operations.event_alarm", "operations.event_buckets", "operations.event_state"},
    {"operations.event_horizon", "operations.event_watch"},
    {"operations.event_log", "operations.events"},
    {"operations"},
    {"report.completeness", "report.names"},
    {"report.cube"},
    {"report.page"},
    {"report.report"},
    {"report"},
]
PURE = {
    "http.advice",
    "_argument_kinds",
    "_arguments",
    "_codec",
    "_columns",
    "_extras",
    "_from_plain",
    "_html",
    "_json",
    "_model",
    "_pages",
    "_plain",
    "_schema",
    "_spans",
    "_zones",
    "accounts.errors",
    "accounts.schedule",
    "_progress_words",
    "cli.account_files",
    "cli.bill_report",
    "cli.checks",
    "cli.comparison",
    "cli.demo_report",
    "cli.diagnosis",
    "cli.excel_csv",
    "cli.formats",
    "cli.formulas",
    "cli.journal",
    "cli.outage",
    "cli.proof_facts",
    "cli.proof_page",
    "cli.pull_formats",
    "cli.rejects",
    "cli.sealed",
    "cli.summary_table",
    "cli.sums",
    "cli.settings",
    "cli.tables",
    "cli.times",
    "cli.verify_report",
    "cli.wording",
    "errors",
    "models",
    "http.causes",
    "http.endpoints",
    "http.messages",
    "http.network",
    "http.proxies",
    "http.answers",
    "http.outcome",
    "http.retry",
    "http.bucket",
    "http.pace",
    "http.server_clock",
    "http.rate_limits",
    "shared.errors",
    "shared.memory",
    "shared.outlook",
    "cdrs.cells",
    "cdrs.changes",
    "cdrs.checkpoint",
    "cdrs.checkpoint_journal",
    "cdrs.legs",
    "cdrs.follow_checkpoint",
    "cdrs.lateness",
    "cdrs.marks",
    "cdrs.notebook",
    "cdrs.output",
    "cdrs.output_order",
    "cdrs.page_reading",
    "cdrs.planner.arrival",
    "cdrs.planner.bounds",
    "cdrs.planner.checks",
    "cdrs.planner.choice",
    "cdrs.planner.claims",
    "cdrs.planner.cuts",
    "cdrs.planner.dense",
    "cdrs.planner.density",
    "cdrs.planner.divide",
    "cdrs.planner.durations",
    "cdrs.planner.estimates",
    "cdrs.planner.forecast",
    "cdrs.planner.full_pages",
    "cdrs.planner.gauge",
    "cdrs.planner.holes",
    "cdrs.planner.known_server",
    "cdrs.planner.margins",
    "cdrs.planner.page",
    "cdrs.planner.page_cap",
    "cdrs.planner.parts",
    "cdrs.planner.plan",
    "cdrs.planner.planner",
    "cdrs.planner.resolver",
    "cdrs.planner.seek",
    "cdrs.planner.shown",
    "cdrs.planner.sizes",
    "cdrs.planner.tally",
    "cdrs.planner.tasks",
    "cdrs.planner.traffic",
    "cdrs.planner.unplaced",
    "cdrs.planner.windows",
    "cdrs.poll_clock",
    "cdrs.position",
    "cdrs.rows",
    "cdrs.stats",
    "cdrs.tail",
    "cdrs.times",
    "cdrs.unreadable",
    "operations._checks",
    "operations.balances",
    "operations.bill.amounts",
    "operations.bill.calls",
    "operations.bill.columns",
    "operations.bill.invoice",
    "operations.bill.keys",
    "operations.bill.lines",
    "operations.bill.pairs",
    "operations.bill.reconciler",
    "operations.bill.sums",
    "operations.bill.table",
    "operations.bill.times",
    "operations.assignment",
    "operations.caller_ids",
    "operations.carrier",
    "operations.charts",
    "operations.credit",
    "operations.dispositions",
    "operations.event_alarm",
    "operations.event_buckets",
    "operations.event_habit",
    "operations.event_horizon",
    "operations.event_matching",
    "operations.event_sides",
    "operations.event_state",
    "operations.events",
    "operations.failure_counts",
    "operations.health",
    "operations.iteration",
    "operations.numbering",
    "operations.pool",
    "operations.pool_state",
    "operations.shares",
    "operations.spending",
    "operations.summary",
    "operations.summary_notebook",
    "operations.summary_rows",
    "proof.canonical",
    "proof.comparison",
    "proof.counts",
    "proof.digest",
    "proof.ledger",
    "proof.manifest",
    "report.completeness",
    "report.cube",
    "report.names",
    "spark.offsets",
    "spark.options",
    "spark.ranges",
    "sync.diff",
    "sync.entries",
    "sync.errors",
    "sync.portions",
    "sync.postgres_words",
    "sync.rows",
    "sync.state",
    "sync.table",
    "telemetry.conventions",
    "webhooks.events",
    "webhooks.identity",
    "webhooks.recovery",
    "webhooks.responses",
    "webhooks.signature",
    "webhooks.steady",
    "webhooks.wire",
}
SANDBOX_PURE = {
    "account",
    "api",
    "call_index",
    "calls",
    "checks",
    "deliveries",
    "endpoints",
    "events",
    "faults",
    "history",
    "markets",
    "responses",
    "settings",
    "state",
    "times",
}


@cache
def modules() -> list[tuple[str, Path]]:
    return [
        (".".join(part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"), path)
        for path in PACKAGE.rglob("*.py")
    ]


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return [*ast.walk(ast.parse(path.read_text()))]


@cache
def imports_of(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it, also for types only."""
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


@cache
def own_imports(path: Path) -> set[str]:
    names = {
        name.removeprefix("unlimcall_async").removeprefix(".")
        for name in imports_of(path)
        if name.startswith("unlimcall")
    }
    known = {name for name, _ in modules()}
    # Its modules name their package to import from it what is named after a module.
    packages = {"", "http", "cdrs", "cdrs.planner"} | ({"operations"} if "operations" in path.parts else set())
    return names & known - packages


CLIENT_MODULES = [(name, path) for name, path in modules() if name.split(".")[0] not in {"sandbox", "cli", "__main__"}]


def test_imports_point_down() -> None:
    for name, path in CLIENT_MODULES:
        if name in {"http", "cdrs", "cdrs.planner"}:
            assert own_imports(path) == set(), name
            continue
        levels = [index for index, layer in enumerate(LAYERS) if name in layer]
        assert len(levels) == 1, f"{name} stands in one layer"
        below = set().union(*LAYERS[: levels[0] + 1])
        assert own_imports(path) <= below, name


def test_only_the_transport_imports_aiohttp() -> None:
    def users(path: Path) -> bool:
        return any(name.split(".")[0] == "aiohttp" for name in imports_of(path))

    # The connector is the transport's. The pool, the client and the accounts name its session in a type; the client also tells
    # whether what it was handed is one.
    # The receiver of webhooks names its server in a type, and has routes for it.
    assert {name for name, path in CLIENT_MODULES if users(path)} == {
        *("http.transport", "http.connector", "http.pool", "client", "accounts.options"),
        *("webhooks.adapters", "webhooks.receiver"),
    }


@pytest.mark.slow
def test_only_telemetry_imports_opentelemetry() -> None:
    def users(what: str) -> set[str]:
        return {name for name, path in modules() if any(each.startswith(what) for each in imports_of(path))}

    assert users("opentelemetry") == {"telemetry.instruments", "telemetry.observer"}
    assert {name for name in users("unlimcall_async.telemetry") if not name.startswith("telemetry")} == set()


def test_the_core_does_no_io() -> None:
    for name in sorted(PURE | {f"sandbox.{name}" for name in SANDBOX_PURE}):
        path = PACKAGE / f"{name.replace('.', '/')}.py"
        foreign = {module.split(".")[0] for module in imports_of(path)}
        assert foreign.isdisjoint({"asyncio", "aiohttp", "time", "random", "socket", "logging", "os"}), name


def test_the_sandbox_shares_nothing_with_the_client() -> None:
    for name, path in modules():
        if name.startswith("sandbox"):
            assert {own for own in own_imports(path) if not own.startswith("sandbox")} == set(), name


def test_the_command_uses_the_public_package_only() -> None:
    for name, path in modules():
        if name.split(".")[0] == "cli":
            inner = {own for own in own_imports(path) if own.split(".")[0] not in {"cli", "sandbox"}}
            # The first six are public packages. The others are the one reader of JSON, the one writer of many records, that
            # of columns, the reader of tokens, the bar of `track`, what `$UNLIMCALL_LOG` turns on, the wording for an extra that
            # is missing, what differs between operating systems, what is appended to a file, and the reader of spans.
            assert inner <= {
                "accounts",
                "operations",
                "proof",
                "report",
                "sync",
                "webhooks",
                "_json",
                "_secrets",
                "_plain",
                "_from_plain",
                "_columns",
                "_bar",
                "_extras",
                "_log_setup",
                "_platform",
                "_durable",
                "_progress_words",
                "_spans",
                "_zones",
            }, name


def test_only_two_commands_load_the_sandbox() -> None:
    users = {name for name, path in modules() if name.split(".")[0] == "cli" and "sandbox" in own_imports(path)}
    assert users == {"cli.comparison", "cli.demo", "cli.sandbox"}


def test_operations_use_the_public_package_only() -> None:
    # With some exceptions: an argument is checked by the client's own checks, JSON is read by the client's own reader, the
    # time of day is that of the client's own clock, the ends of the calendar are those of the command line, a missing extra has the
    # client's own wording, a notebook shows tables as those of streams, and operating systems differ in one place. So the package
    # has one rule and one message for each.
    for name, path in modules():
        if name.split(".")[0] == "operations":
            assert {own for own in own_imports(path) if own.split(".")[0] != "operations"} <= {
                *(
                    "_argument_kinds",
                    "_arguments",
                    "_clock",
                    "_extras",
                    "_html",
                    "_json",
                    "_lazy",
                    "_platform",
                    "_zones",
                ),
                "webhooks",  # public
            }, name


def test_telemetry_uses_the_public_package_only() -> None:
    # With five exceptions: the checks of arguments, the clock and its microseconds, the wording for a missing extra, and what tells
    # of changed `stats`. A package that is named is that of the user, so the modules of `webhooks` do not count.
    for name, path in modules():
        if name.split(".")[0] == "telemetry":
            assert {own for own in own_imports(path) if own.split(".")[0] != "telemetry"} <= {
                *("_arguments", "_clock", "_extras", "_watched", "cdrs.times", "errors", "webhooks"),
            }, name


def test_json_is_read_in_one_place() -> None:
    # The sandbox shares nothing with the client. `_pages` decodes for speed, and its refusals are decided by `_codec`.
    reading = {"json.loads", "json.load", "stdlib_json.loads", "msgspec.json.decode", "msgspec.json.Decoder"}
    readers = {
        name
        for name, path in modules()
        if not name.startswith("sandbox")
        and any(isinstance(node, ast.Attribute) and ast.unparse(node) in reading for node in nodes_of(path))
    }
    assert readers == {"_json", "_pages"}


def test_one_module_knows_operating_systems_apart() -> None:
    def asks(path: Path) -> bool:
        named = {
            f"{node.value.id}.{node.attr}"
            for node in nodes_of(path)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        own = {"sys.platform", "os.name", "os.fchmod", "os.geteuid", "os.pathconf", "os.O_DIRECTORY", "os.O_NOFOLLOW"}
        return bool(named & own) or bool(imports_of(path) & {"fcntl", "msvcrt", "platform", "pwd", "resource"})

    assert {name for name, path in modules() if asks(path)} == {"_platform"}


def test_modules_stay_small() -> None:
    assert {name: count for name, path in modules() if (count := len(path.read_text().splitlines())) > 400} == {}


def test_functions_fit_on_a_screen() -> None:
    long = {}
    for module, path in modules():
        for node in nodes_of(path):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or 0) - node.body[0].lineno + 1
                if length > 60:
                    long[f"{module}.{node.name}"] = length
    assert long == {}
