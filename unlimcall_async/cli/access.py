"""What a command asks with: the token, the server and the settings, each with the place that it comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from attrs import evolve, field, frozen

from unlimcall_async import AsyncClient, AuthenticationError, RateLimit, RateLimits
from unlimcall_async._secrets import bare
from unlimcall_async.cli import stored_tokens
from unlimcall_async.cli.credentials import read_private, read_stdin, sole
from unlimcall_async.cli.options import in_option_names
from unlimcall_async.cli.output import UnusableError, unusable
from unlimcall_async.cli.settings import DEFAULT_PROFILE, Settings, is_profile_name, settings_in
from unlimcall_async.cli.waits import clients

if TYPE_CHECKING:
    from unlimcall_async.accounts import Accounts, ClientOptions

_NO_TOKEN: Final = "log in with `unlimcall login`, set UNLIMCALL_TOKEN, or give --token-file or --token-stdin"  # noqa: S105 # advice

TOKEN_VARIABLE: Final = "UNLIMCALL_TOKEN"  # noqa: S105 # the name of a variable
_PROFILE_VARIABLE: Final = "UNLIMCALL_PROFILE"

# As `cdrs.stream` has without this argument.
_CONCURRENCY: Final = 4
# As `Accounts.pull` has without this argument.
_CONCURRENCY_OF_EACH: Final = 2


@frozen
class Access:
    """Makes the clients of a command.

    Attributes:
        token: The token.
        token_source: Where the token comes from, for people.
        base_url: The URL of the API; `None` for production.
        settings: The settings of the profile, with the options of the command in their place.
        names: What the user typed, for the arguments that the package's messages name.
    """

    token: str = field(repr=False)
    token_source: str
    base_url: str | None
    settings: Settings
    names: dict[str, str]

    @property
    def concurrency(self) -> int:
        """How many requests of a pull may be under way at once."""
        return self.settings.concurrency or _CONCURRENCY

    def __call__(self) -> AsyncClient:
        """Return a client.

        Raises:
            click.UsageError: An option, a variable or a setting is wrong.
        """
        with in_option_names({**self.names, **_PLAIN_HTTP}):
            client = AsyncClient(self.token, **_options(self.base_url, self.settings))
        clients.add(client)
        return client


_PLAIN_HTTP: Final = {"use https, or allow_plain_http=True": "use https, or give --allow-plain-http"}


def _options(base_url: str | None, settings: Settings) -> ClientOptions:
    """Return the options of a client."""
    return {
        "base_url": base_url,
        "timeout": 30.0 if settings.timeout is None else settings.timeout,
        "rate_limits": RateLimits(**{name: RateLimit(count) for name, count in settings.rate_limits.items()}),
        "allow_plain_http": settings.allow_plain_http,
    }


@frozen
class AccessToAll:
    """Makes the accounts of a command.

    Attributes:
        file: The file with the accounts.
        base_url: As for `Access`, for accounts that have none of their own; so are the next two.
        settings: The settings of the profile.
        names: What the user typed.
    """

    file: Path
    base_url: str | None
    settings: Settings
    names: dict[str, str]

    @property
    def concurrency(self) -> int:
        """How many requests of a pull may be under way at once, for each account."""
        return self.settings.concurrency or _CONCURRENCY_OF_EACH

    def __call__(self) -> Accounts:
        """Return the accounts.

        Raises:
            click.UsageError: The file, an option, a variable or a setting is wrong.
        """
        from unlimcall_async.accounts import Accounts  # noqa: PLC0415 # `--help` must be quick

        try:
            return Accounts.from_file(self.file, **_options(self.base_url, self.settings))
        except ValueError as error:
            # What is wrong in the file has the names that the file has for it.
            names = {} if str(self.file) in str(error) else self.names
            with in_option_names({**names, **_PLAIN_HTTP}):
                raise


@frozen
class Given:
    """The options that say what to ask with; each may be missing.

    Attributes:
        profile: `--profile`.
        token_file: `--token-file`.
        token_stdin: `--token-stdin`.
        timeout: `--timeout`.
        allow_plain_http: `--allow-plain-http`.
        rate: `--rate`.
        concurrency: `--concurrency`.
    """

    profile: str | None = None
    token_file: Path | None = None
    token_stdin: bool = False
    timeout: float | None = None
    allow_plain_http: bool = False
    rate: int | None = None
    concurrency: int | None = None


def access(given: Given) -> Access:
    """Return what a command asks with.

    The options come first, then the profile if one is named, then the environment, then what is stored and set for the default
    profile.

    Raises:
        click.UsageError: The token is missing, or an option or a setting is wrong.
        UnusableError: A file cannot be used.
    """
    if given.token_file is not None and given.token_stdin:
        raise click.UsageError("--token-file and --token-stdin exclude each other")
    profile = profile_of(given)
    settings, names, known = settings_of(profile or DEFAULT_PROFILE, given)
    base_url = base_url_of(settings, names, named=profile is not None)
    token, source = None, ""
    if given.token_file is not None:
        token, source = read_private(given.token_file), f"--token-file {given.token_file}"
    elif given.token_stdin:
        token, source = read_stdin(), "--token-stdin"
    elif profile is None and (text := own_token()):
        token, source = sole(text, TOKEN_VARIABLE), TOKEN_VARIABLE
    elif (stored := stored_tokens.read(profile or DEFAULT_PROFILE)) is not None:
        token, source = stored.token, f"`unlimcall login`, profile {profile or DEFAULT_PROFILE}, in {stored.place}"
        if base_url is None or (profile is not None and settings.base_url is None):
            base_url, names["base_url"] = stored.base_url, f"base_url in {stored.place}"
        elif base_url.rstrip("/") != stored.base_url.rstrip("/"):
            raise click.UsageError(
                f"the token in {stored.place} is for {stored.base_url}, and {names['base_url']} names another server; "
                "log in there, or set UNLIMCALL_TOKEN"
            )
    if token is None:
        if profile is not None:
            unknown = "" if known else "there is no such profile, or "
            option = f" --profile {profile}" if given.profile is not None else ""
            named = option.strip() or f"{_PROFILE_VARIABLE}={profile}"
            raise click.UsageError(f"{named}: {unknown}nobody has logged in: unlimcall login{option}")
        raise click.UsageError(f"the token is missing: {_NO_TOKEN}")
    return Access(token, source, base_url, settings, names)


def access_to_all(given: Given, file: Path) -> AccessToAll:
    """Return what a command asks with for all accounts of a file.

    Raises:
        click.UsageError: An option or a setting is wrong.
        UnusableError: A file of settings cannot be used.
    """
    for option, is_given in (("--token-file", given.token_file is not None), ("--token-stdin", given.token_stdin)):
        if is_given:
            raise click.UsageError(
                f"{option} and --accounts exclude each other: the file names the token of each account"
            )
    profile = profile_of(given)
    settings, names, known = settings_of(profile or DEFAULT_PROFILE, given)
    if not (profile is None or known or stored_tokens.read(profile) is not None):
        named = f"{_PROFILE_VARIABLE}={profile}" if given.profile is None else f"--profile {profile}"
        raise click.UsageError(f"{named}: there is no such profile")
    return AccessToAll(file, base_url_of(settings, names, named=profile is not None), settings, names)


def profile_of(given: Given) -> str | None:
    """Return the profile that the user named, by the option or by `$UNLIMCALL_PROFILE`."""
    name, place = given.profile, "--profile"
    if name is None:
        name, place = os.environ.get(_PROFILE_VARIABLE, "").strip() or None, _PROFILE_VARIABLE
    if name is not None and not is_profile_name(name):
        raise click.UsageError(
            f"{place}: {name!r} is not a valid name; use letters, digits, dots, dashes and underscores"
        )
    return name


def own_token() -> str:
    """Return the token in the environment, or an empty text."""
    return bare(os.environ.get(TOKEN_VARIABLE, ""))


@contextmanager
def with_token_source(source: str) -> Iterator[None]:
    """Add where the token comes from to the error, if the API refuses the token."""
    try:
        yield
    except AuthenticationError as error:
        first = ", which comes before that of `unlimcall login`" if source == TOKEN_VARIABLE else ""
        error.add_note(f"The token is from {source}{first}.")
        raise


def config_file() -> Path:
    """Return the path of the file with the settings."""
    return stored_tokens.folder() / "config.toml"


def settings_of(profile: str, given: Given) -> tuple[Settings, dict[str, str], bool]:
    """Return the settings of a profile with the options in their place, and what the user calls each.

    The last value is whether the file has the profile.
    """
    path = config_file()
    with unusable("read", path):
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            text = ""
        except UnicodeDecodeError:
            raise UnusableError(f"cannot read {path}: it is not in UTF-8") from None
    try:
        settings, known = settings_in(text, profile)
    except ValueError as error:
        raise UnusableError(f"{path}: {error}") from None
    names = {name: f"{name} in {path}" for name in ("base_url", "timeout", "concurrency")}
    if given.timeout is not None:
        settings, names["timeout"] = evolve(settings, timeout=given.timeout), "--timeout"
    if given.concurrency is not None:
        settings, names["concurrency"] = evolve(settings, concurrency=given.concurrency), "--concurrency"
    if given.rate is not None:
        settings = evolve(settings, rate_limits={**settings.rate_limits, "cdrs": given.rate})
    settings = evolve(settings, allow_plain_http=settings.allow_plain_http or given.allow_plain_http)
    return settings, names, known


def base_url_of(settings: Settings, names: dict[str, str], *, named: bool) -> str | None:
    """Return the URL of the server: that of a profile that the user named, that of the environment, or that of the settings."""
    own = os.environ.get("UNLIMCALL_BASE_URL", "").strip()
    if own and not (named and settings.base_url):
        names["base_url"] = "UNLIMCALL_BASE_URL"
        return own
    return settings.base_url
