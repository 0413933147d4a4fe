"""`unlimcall login` and `logout`, profiles, and the file `config.toml`."""

from __future__ import annotations

import json
import stat
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from unlimcall_async.cli import settings
from unlimcall_async.sandbox import Sandbox

from .support import Ended, made, run

NO_TOKEN: dict[str, Any] = {"UNLIMCALL_TOKEN": ""}


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for settings: of this test alone, and without the keyring of this machine."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setitem(sys.modules, "keyring", None)
    return tmp_path / "config" / "unlimcall"


def configure(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(text)


async def login(sandbox: Sandbox, *options: str, token: str | None = None) -> Ended:
    given = f"{sandbox.token if token is None else token}\n"
    return await run(None, "login", *options, given=given, UNLIMCALL_TOKEN="", UNLIMCALL_BASE_URL=sandbox.url)


async def me(*options: str, **environment: str) -> Ended:
    whole: dict[str, Any] = {"UNLIMCALL_TOKEN": "", "UNLIMCALL_BASE_URL": ""} | environment
    return await run(None, "me", "--json", *options, **whole)


async def test_a_login_serves_later_commands_until_the_logout(config: Path) -> None:
    async with Sandbox(company_name="Acme") as sandbox:
        status, out, err = await login(sandbox)
        path = config / "tokens" / "default.json"
        assert (status, err) == (0, ""), err
        assert out == f"Logged in as Acme, profile default. The token is in {path}.\n"
        assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
        status, out, err = await me()
        assert (status, json.loads(out)["company_name"]) == (0, "Acme"), err
        left = await run(None, "logout", **NO_TOKEN)
        again = await run(None, "logout", "--json", **NO_TOKEN)
    assert left == (0, "", "The token of profile default is removed.\n")
    assert json.loads(again[1]) == {"profile": "default", "removed": False}
    status, _, err = await me()
    assert (status, "unlimcall login" in err) == (2, True)


async def test_a_token_that_the_api_refuses_is_not_stored() -> None:
    async with Sandbox() as sandbox:
        status, _, err = await login(sandbox, token="unl_test_wrong")  # not a real one
    assert (status, "401" in err, (await me())[0]) == (3, True, 2)


async def test_a_server_that_plain_http_reached_at_the_login_is_told_with_the_place_of_its_token(config: Path) -> None:
    path = config / "tokens" / "default.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"token": "unl_test_x", "base_url": "http://10.0.0.1/api/v1"}))
    status, _, err = await me()
    assert (status, f"base_url in {path}: plain http would send the token to 10.0.0.1" in err) == (2, True), err


async def test_a_stored_token_that_is_refused_later_is_told_with_its_profile(config: Path) -> None:
    async with Sandbox() as sandbox:
        for name in ("default", "acme"):
            await login(sandbox, "--profile", name)
            path = config / "tokens" / f"{name}.json"
            path.write_text(json.dumps({"token": "unl_test_wrong", "base_url": sandbox.url}))
            status, _, err = await me("--profile", name)
            assert (status, err.endswith(f"The token is from `unlimcall login`, profile {name}, in {path}.\n")) == (
                3,
                True,
            ), err


@pytest.mark.parametrize(
    ("options", "profile", "hidden"),
    [
        ([], "", "unset UNLIMCALL_TOKEN.\n"),
        (["--profile", "acme"], "", "unset UNLIMCALL_TOKEN, or give --profile acme.\n"),
        ([], "acme", None),
    ],
)
async def test_a_login_says_that_the_environment_hides_its_token(
    options: list[str], profile: str, hidden: str | None
) -> None:
    async with Sandbox(company_name="Acme") as sandbox:
        environment: dict[str, Any] = {
            "UNLIMCALL_TOKEN": "unl_test_wrong",
            "UNLIMCALL_BASE_URL": sandbox.url,
            "UNLIMCALL_PROFILE": profile,
        }
        status, out, err = await run(None, "login", *options, given=sandbox.token, **environment)
        assert (status, out.startswith("Logged in as Acme"), "Warning: UNLIMCALL_TOKEN is set" in err) == (
            0,
            True,
            bool(hidden),
        )
        assert err.endswith(hidden or "")
        assert (await run(None, "me", **environment))[0] == (0 if hidden is None else 3)


async def test_a_profile_of_the_environment_is_named_by_its_variable() -> None:
    status, _, err = await me(UNLIMCALL_PROFILE="zz")
    assert (status, err.count("UNLIMCALL_PROFILE=zz: there is no such profile"), "--profile" in err) == (2, 1, False), (
        err
    )
    status, _, err = await me(UNLIMCALL_PROFILE="a/b")
    assert (status, "UNLIMCALL_PROFILE: 'a/b' is not a valid name" in err, "--profile" in err) == (2, True, False), err


@pytest.mark.parametrize("command", ["login", "logout", "me"])
async def test_an_empty_profile_is_refused(command: str) -> None:
    async with Sandbox() as sandbox:
        status, _, err = await run(sandbox, command, "--profile", "", given=sandbox.token)
        assert (status, "--profile: '' is not a valid name" in err, sandbox.requests) == (2, True, [])


async def test_each_profile_has_its_own_token_and_settings(config: Path) -> None:
    async with Sandbox(company_name="One") as one, Sandbox(company_name="Two") as two:
        configure(config, f'[profiles.second]\nbase_url = "{two.url}"\n')
        assert (await login(one, "--json"))[0] == 0
        # The profile's own server comes before that of the environment.
        assert (await run(None, "login", "--profile", "second", given=two.token, UNLIMCALL_BASE_URL=one.url))[0] == 0
        names = [json.loads((await me(*options, **extra))[1])["company_name"] for options, extra in (
            ((), {}), (("--profile", "second"), {}), ((), {"UNLIMCALL_PROFILE": "second"}),
            (("--profile", "second"), {"UNLIMCALL_TOKEN": "unl_test_other"}),
        )]  # fmt: skip
    assert names == ["One", "Two", "Two", "Two"]


async def test_a_stored_token_is_sent_to_no_other_server() -> None:
    async with Sandbox() as sandbox, Sandbox() as other:
        assert (await login(sandbox))[0] == 0
        status, _, err = await me(UNLIMCALL_BASE_URL=other.url)
        assert (status, sandbox.url in err, "UNLIMCALL_BASE_URL names another server" in err) == (2, True, True)
        assert other.requests == []


@pytest.mark.parametrize("name", ["..", "a/b", "", ".x", "a" * 65])
async def test_a_name_that_is_not_one_of_a_profile_is_wrong_usage(name: str) -> None:
    status, _, err = await me("--profile", name)
    assert status == 2
    assert ("--profile" in err) or name == ""


async def test_a_profile_that_nobody_has_made_is_told() -> None:
    status, _, err = await me("--profile", "acme")
    assert (status, "--profile acme: there is no such profile" in err, "unlimcall login --profile acme" in err) == (
        *(2, True, True),
    )


async def test_a_file_of_tokens_that_others_could_write_is_refused(config: Path) -> None:
    async with Sandbox() as sandbox:
        await login(sandbox)
    (config / "tokens" / "default.json").chmod(0o666)
    status, _, err = await me()
    assert (status, "other users can write it" in err) == (2, True)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"token": 5, "base_url": "x"}', "\ufeffx"])
async def test_a_file_of_tokens_that_is_damaged_is_told(config: Path, content: str) -> None:
    path = config / "tokens" / "default.json"
    path.parent.mkdir(parents=True)
    path.touch(0o600)
    path.write_text(content)
    status, _, err = await me()
    assert (status, err) == (2, f"Error: {path} does not hold a token of this command; log in again: unlimcall login\n")


class Keyring(types.ModuleType):
    """The library `keyring`, with a dictionary behind it."""

    def __init__(self, priority: float, *, locked: bool = False) -> None:
        super().__init__("keyring")
        self.stored: dict[tuple[str, str], str] = {}
        self.priority, self.locked = priority, locked

    def get_keyring(self) -> Keyring:
        return self

    def set_password(self, service: str, name: str, text: str) -> None:
        if self.locked:
            raise RuntimeError("locked")
        self.stored[service, name] = text

    def get_password(self, service: str, name: str) -> str | None:
        return self.stored.get((service, name))

    def delete_password(self, service: str, name: str) -> None:
        if self.locked:
            raise RuntimeError("locked")
        del self.stored[service, name]


async def test_a_token_that_the_keyring_keeps_is_not_called_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring(5)
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    async with Sandbox() as sandbox:
        await login(sandbox)
        keyring.locked = True
        status, _, err = await run(None, "logout")
        assert (status, "the keyring does not remove the token of profile default" in err) == (2, True), err
        keyring.locked = False
        status, _, err = await run(None, "logout")
        assert (status, "is removed" in err, keyring.stored) == (0, True, {}), err


@pytest.mark.parametrize(
    ("keyring", "options", "in_keyring"),
    [
        (Keyring(5), (), True),
        (Keyring(5), ("--in-file",), False),
        (Keyring(0), (), False),
        (Keyring(5, locked=True), (), False),
    ],
    ids=["there", "not wanted", "cannot be used", "locked"],
)
async def test_the_keyring_of_the_system_is_used_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, config: Path, keyring: Keyring, options: tuple[str, ...], in_keyring: bool
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    async with Sandbox() as sandbox:
        status, out, _ = await login(sandbox, *options)
        assert (status, "in the keyring" in out) == (0, in_keyring)
        assert (bool(keyring.stored), (config / "tokens").exists()) == (in_keyring, not in_keyring)
        assert (await me())[0] == 0
        await run(None, "logout", **NO_TOKEN)
        assert (keyring.stored, (await me())[0]) == ({}, 2)


@pytest.mark.parametrize("kind", ["a folder", "a link", "in a file"])
async def test_a_command_says_what_it_cannot_do_with_the_file_of_a_token(config: Path, kind: str) -> None:
    path = config / "tokens" / "default.json"
    if kind == "in a file":
        configure(config, "")
        path.parent.touch()
    elif kind == "a folder":
        (path / "more").mkdir(parents=True)
    else:
        path.parent.mkdir(parents=True)
        path.symlink_to("elsewhere")
    status, _, err = await me()
    assert (status, err.startswith(f"Error: cannot read {path}: ")) == (2, True), err
    status, _, err = await run(None, "logout", **NO_TOKEN)
    removed = kind == "a link"
    assert (status, err.startswith(f"Error: cannot remove {path}: ")) == (0 if removed else 2, not removed), err


async def test_an_older_token_that_a_login_cannot_remove_is_named(
    monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", Keyring(5))
    path = config / "tokens" / "default.json"
    path.mkdir(parents=True)
    async with Sandbox() as sandbox:
        status, _, err = await login(sandbox)
    assert (status, err.startswith(f"Error: cannot remove {path}: ")) == (2, True), err


# --- config.toml ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("concurency = 3", "concurency is not a setting; the settings are base_url"),
        ("concurrency = 0", "concurrency must be a whole number from 1 on"),
        ("concurrency = true", "concurrency must be a whole number from 1 on"),
        ("concurrency = 2.5", "concurrency must be a whole number from 1 on"),
        ("timeout = -3", "timeout must be a number of seconds above 0"),
        ("timeout = nan", "timeout must be a number of seconds above 0"),
        ('timeout = "3"', "timeout must be a number of seconds above 0"),
        ("tz = 5", "tz must be the name of a time zone"),
        ("rate_limits = { cdr = 5 }", "rate_limits.cdr: the endpoint must be one of me, balance, cdrs"),
        ("rate_limits = { cdrs = 0 }", "rate_limits.cdrs must be a whole number from 1 to 1000000000"),
        (f"rate_limits = {{ cdrs = {10**23} }}", "rate_limits.cdrs must be a whole number from 1 to 1000000000"),
        ("rate_limits = 60", "rate_limits must be a table of requests a minute"),
        ("allow_plain_http = 1", "allow_plain_http must be true or false"),
        ("profiles = 5", "profiles must be tables, like [profiles.acme]"),
        ("[profiles.acme]\nconcurrency = 0", "profiles.acme.concurrency must be a whole number from 1 on"),
        ('[profiles."a/b"]', "profiles.a/b must be a table"),
        ("profiles.acme = 5", "profiles.acme must be a table"),
        ("concurrency", "it is not TOML"),
    ],
)
async def test_a_wrong_setting_is_named_with_its_file(config: Path, text: str, complaint: str) -> None:
    configure(config, text)
    status, _, err = await me(UNLIMCALL_TOKEN="unl_test_x")
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(f"Error: {config / 'config.toml'}: {complaint}")


async def test_a_file_of_settings_that_cannot_be_read_is_named_once(config: Path) -> None:
    path = config / "config.toml"
    path.mkdir(parents=True)
    status, _, err = await me()
    assert (status, err.count("config.toml"), err.startswith(f"Error: cannot read {path}: ")) == (2, 1, True), err
    path.rmdir()
    path.write_bytes(b"tz = \xff")
    assert await me() == (2, "", f"Error: cannot read {path}: it is not in UTF-8\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('base_url = "ftp://x"', "base_url in {path} must be"),
        *(
            (
                f'tz = "{zone}"',
                f"tz in {{path}}: {zone!r} is not a time zone that this machine knows; write one like Europe/Berlin\n",
            )
            for zone in ("Nowhere/Town", "Europe", "")
        ),
    ],
)
async def test_a_setting_that_only_its_use_shows_to_be_wrong_is_named(config: Path, text: str, complaint: str) -> None:
    configure(config, text)
    status, _, err = await run(None, "health", UNLIMCALL_TOKEN="unl_test_x", UNLIMCALL_BASE_URL="")
    assert (status, complaint.format(path=config / "config.toml") in err) == (2, True), err


async def test_settings_and_options_reach_the_client(config: Path) -> None:
    configure(config, 'tz = "Europe/Berlin"\nconcurrency = 2\nrate_limits = { cdrs = 30 }\n')
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(10))
        place: dict[str, Any] = {"UNLIMCALL_TOKEN": sandbox.token, "UNLIMCALL_BASE_URL": sandbox.url}
        # Midnight in Berlin is 22:00 in UTC, and so all ten are inside.
        inside = await run(None, "cdrs", "pull", "--from", "2026-05-01", "--till", "2026-05-02T02:00", **place)
        berlin = sandbox.requests[0].query["from"]
        utc = await run(None, "cdrs", "pull", "--from", "2026-05-01", "--till", "2026-05-02", "--tz", "UTC", **place)
    assert (inside[0], len(inside[1].splitlines()), berlin[:11]) == (0, 10, "2026-04-30T")
    assert (utc[0], len(utc[1].splitlines())) == (0, 10)


def test_a_profiles_settings_take_the_place_of_those_at_the_top() -> None:
    text = 'tz = "UTC"\nconcurrency = 8\n[profiles.a]\nconcurrency = 2\n[profiles.b]\n'
    of = {name: settings.settings_in(text, name) for name in ("a", "b", "c")}
    assert [(each.tz, each.concurrency, known) for each, known in of.values()] == [
        ("UTC", 2, True),
        ("UTC", 8, True),
        ("UTC", 8, False),
    ]
