"""Options that several commands have, and the messages that name them."""

from __future__ import annotations

import click
import pytest

from unlimcall_async import CheckpointError
from unlimcall_async.cli.options import in_option_names

from .support import in_this_process


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("to_number must be in E.164 form", "--to must be in E.164 form"),
        ("'speed' must be > 0: -1", "--speed must be > 0: -1"),
        ("auto_speed must not change", "auto_speed must not change"),
    ],
)
def test_a_message_names_options(message: str, shown: str) -> None:
    with pytest.raises(click.UsageError) as caught, in_option_names({"to_number": "--to", "speed": "--speed"}):
        raise ValueError(message)
    assert caught.value.message == shown


def test_an_error_of_the_package_stays() -> None:
    with pytest.raises(CheckpointError), in_option_names({}):
        raise CheckpointError("resume is a checkpoint of another range or direction")


def test_a_url_of_the_environment_is_told_by_its_variable() -> None:
    status, _, err = in_this_process("me", UNLIMCALL_BASE_URL="http://10.0.0.1")
    assert (status, "UNLIMCALL_BASE_URL: plain http would send the token to 10.0.0.1" in err) == (2, True)
    assert err.endswith("use https, or give --allow-plain-http\n")
