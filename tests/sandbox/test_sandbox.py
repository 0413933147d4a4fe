"""The class `Sandbox` and the package's public names."""

import inspect
from typing import Any

import pytest
from attrs import fields

import unlimcall_async.sandbox as package
from unlimcall_async.sandbox import Account, Sandbox, Settings


def test_there_is_no_url_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="no port until it is started"):
        _ = Sandbox().url
    assert Sandbox(port=8080).url == "http://127.0.0.1:8080/api/v1"
    assert Sandbox(host="::1", port=8080).url == "http://[::1]:8080/api/v1"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"host": None}, TypeError, "host must be a str, not NoneType"),
        ({"host": ""}, ValueError, "host must not be empty"),
        ({"port": "8080"}, TypeError, "port must be an int, not str"),
        ({"port": 80.0}, TypeError, "port must be an int, not float"),
        ({"port": True}, TypeError, "port must be an int, not bool"),
        ({"port": -1}, ValueError, "port must be from 0 to 65535, not -1"),
        ({"port": 65536}, ValueError, "port must be from 0 to 65535, not 65536"),
    ],
)
def test_an_address_on_which_no_server_can_listen_is_refused_at_once(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{message}"):
        Sandbox(**options)


async def test_the_repr_tells_the_state_and_hides_the_token(sandbox: Sandbox) -> None:
    assert repr(sandbox) == f"<Sandbox running on {sandbox.url}, 0 requests>"
    await sandbox.stop()
    assert repr(sandbox) == "<Sandbox stopped, 0 requests>"


def test_the_package_offers_what_it_lists() -> None:
    assert package.__all__ == sorted(package.__all__, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Sandpit'"):
        _ = package.Sandpit  # type: ignore[attr-defined] # as a checker sees, too


def test_every_field_of_account_and_settings_is_an_argument_with_the_same_default() -> None:
    sandbox = Sandbox()
    arguments = inspect.signature(Sandbox).parameters.keys() - {"host", "port", "token"}

    assert arguments == {field.name for field in (*fields(Account), *fields(Settings))}
    assert (sandbox.account, sandbox.settings) == (Account(), Settings())
