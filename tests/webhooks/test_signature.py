"""Signatures: against vectors made by openssl, and against everything that a header or a body can be."""

from __future__ import annotations

import enum
import hmac
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.oracle import NOW, OTHER_SECRET, SECRET, mac, signature
from unlimcall_async import SignatureError, UnlimCallError
from unlimcall_async.webhooks import sign, verify

# (secret, t, body, v1), the last by: printf '<t>.<body>' | openssl dgst -sha256 -hmac '<secret>' -r
VECTORS: list[tuple[str, str, bytes, str]] = [
    (
        SECRET,
        "1748110442",
        b'{"event":"call.ended","eventId":"evt_1"}',
        "3129ce54bcfbe88f4425a34d2a0786a953b7839bcdeecced088674ba5d0be5b9",
    ),
    (SECRET, "1748110442", b"", "9a0b27b5e14b3518c962e1c8d7b72060a816273b4f51a838bb7e44c64e6e5c4f"),
    (SECRET, "0", b"\x00\xff\r\n\xe2\x82", "c20b9132dff1e27998adc9e94b70fd2c0ff8062a77475328ec56ae721a66344a"),
    # The key is the whole secret: with and without `whsec_`, two keys.
    (SECRET, "1748110442", b"{}", "0546dce11d339fe540343166c09b5a5ac8b2c531f30659e0d65ec24f84f9e3cd"),
    (SECRET[6:], "1748110442", b"{}", "db6451473a5ef6e56fa07e6a75398185705af94154f534069c6e86c527ee467b"),
    # What is signed is `t` as it is written.
    (SECRET, "0001748110442", b"{}", "4d1989de02a783d8f19e5bbd1611525dee431af283fe74c5442bec2c82f2ff8c"),
    # A key longer than the hash's block.
    ("k" * 100, "1748110442", b"{}", "afac6de8aa58a24c780cbf6766dcebc3ad229f3eb295e144cafaab4953bd2975"),
    (SECRET, "1748110442", b"x" * 70000, "cd970e2cdc750f11376fc1ed64ba3e7b3a7c1f1bdf35d831d8917bae498f011f"),
]
vectors = pytest.mark.parametrize(("secret", "stamp", "body", "digest"), VECTORS)

BODY = b'{"event":"call.ended"}'
GOOD = mac(SECRET.encode(), f"{NOW}.".encode() + BODY)
OTHER = mac(OTHER_SECRET.encode(), f"{NOW}.".encode() + BODY)


@vectors
def test_openssl_and_the_verifier_agree(secret: str, stamp: str, body: bytes, digest: str) -> None:
    verify(body, f"t={stamp},v1={digest}", secret, now=int(stamp))
    with pytest.raises(SignatureError, match="no signature"):
        verify(body + b" ", f"t={stamp},v1={digest}", secret, now=int(stamp))


@vectors
def test_openssl_and_the_oracle_of_these_tests_agree(secret: str, stamp: str, body: bytes, digest: str) -> None:
    assert mac(secret.encode(), stamp.encode() + b"." + body) == digest


@pytest.mark.parametrize(
    ("secret", "stamp", "body", "digest"), [row for row in VECTORS if not row[1].startswith("000")]
)
def test_openssl_and_sign_agree(secret: str, stamp: str, body: bytes, digest: str) -> None:
    assert sign(body, secret, int(stamp)) == f"t={stamp},v1={digest}"
    assert sign(bytearray(body), secret, int(stamp) + 0.9) == f"t={stamp},v1={digest}"


# Digits to `str.isdigit` and to `int`.
FULL_WIDTH = "".join(chr(ord(digit) + 0xFEE0) for digit in str(NOW))


def reason(header: Any, *, body: Any = BODY, secrets: Any = SECRET, **options: Any) -> str | None:
    """Why it is refused, `None` if it is not."""
    try:
        verify(body, header, secrets, **{"now": NOW, **options})
    except SignatureError as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"t={NOW},v1={GOOD}", None),
        (f"v1={GOOD},t={NOW}", None),
        (f"t={NOW},v1={OTHER},v1={GOOD}", None),
        (f"t={NOW},v1={GOOD},v1={OTHER}", None),
        (f"t={NOW},v0=old,v1={GOOD},v2=new,x_y-1=a==", None),
        (f"t={NOW},v1={GOOD}, t={NOW}", "malformed"),
        (f"t={NOW},v1={GOOD},=", "malformed"),
        (f"t={NOW},v1={GOOD},V1=0", "malformed"),
        (f"t={NOW},v1={GOOD},\xe9=1", "malformed"),
        (None, "missing"),
        ("", "missing"),
        (f"t={NOW}", "malformed"),
        (f"v1={GOOD}", "malformed"),
        (f"t={NOW},v1=", "malformed"),
        (f"t=,v1={GOOD}", "malformed"),
        (f"t={NOW},t={NOW},v1={GOOD}", "malformed"),
        (f"t={NOW},v1={GOOD},", "malformed"),
        (f"t={NOW},v1={GOOD},v0", "malformed"),
        (f"t={NOW}, v1={GOOD}", "malformed"),
        (f" t={NOW},v1={GOOD}", "malformed"),
        (f"t={NOW},v1={GOOD}\n", "malformed"),
        (f"T={NOW},v1={GOOD}", "malformed"),
        (f"t={NOW};v1={GOOD}", "malformed"),
        (f"t={NOW},v1={GOOD.upper()}", "malformed"),
        (f"t={NOW},v1={GOOD},v1={OTHER[:-1]}", "malformed"),
        (f"t={NOW},v1={GOOD}0", "malformed"),
        (f"t={NOW},v1={GOOD[:-1]}\uff46", "malformed"),
        (f"t=+{NOW},v1={GOOD}", "malformed"),
        (f"t=-{NOW},v1={GOOD}", "malformed"),
        (f"t={NOW}.0,v1={GOOD}", "malformed"),
        (f"t=1_748_110_442,v1={GOOD}", "malformed"),
        (f"t={FULL_WIDTH},v1={GOOD}", "malformed"),
        (f"t={NOW}\0,v1={GOOD}", "malformed"),
        (f"t={NOW},v1={OTHER}", "mismatch"),
        (f"t={NOW - 1},v1={GOOD}", "mismatch"),
        (f"t=0{NOW},v1={GOOD}", "mismatch"),
        (f"t={'9' * 100_000},v1={GOOD}", "mismatch"),
        (f"t=0,v1={GOOD}", "mismatch"),
        ("\ud800", "malformed"),
    ],
)
def test_a_header_has_one_spelling(header: str | None, expected: str | None) -> None:
    assert reason(header) == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, None),
        (300, None),
        (301, "too_old"),
        (-300, None),
        (-301, "in_future"),
        (10**9, "too_old"),
        (-(10**9), "in_future"),
    ],
)
def test_both_ends_of_time_are_bounded(age: int, expected: str | None) -> None:
    assert reason(signature(BODY, at=NOW - age)) == expected


@pytest.mark.parametrize("digits", [20, 400, 5000])
def test_a_genuine_time_of_any_length_is_judged(digits: int) -> None:
    assert reason(signature(BODY, at="9" * digits)) == "in_future"
    assert reason(signature(BODY, at="0" * digits + str(NOW))) is None


def test_the_tolerance_counts_both_ways() -> None:
    assert reason(signature(BODY, at=NOW - 3600), tolerance=3600) is None
    assert reason(signature(BODY, at=NOW + 3600), tolerance=3600) is None
    assert reason(signature(BODY, at=NOW - 1), tolerance=0) == "too_old"
    assert reason(signature(BODY), tolerance=0) is None


def test_who_has_no_secret_learns_nothing_about_the_time() -> None:
    for at in (0, NOW - 301, NOW, NOW + 301, "9" * 400):
        assert reason(signature(BODY, OTHER_SECRET, at)) == "mismatch"


def test_the_age_is_told_where_it_can_be_relied_on() -> None:
    with pytest.raises(SignatureError, match=r"too long ago \(\+400 s old\)") as old:
        verify(BODY, signature(BODY, at=NOW - 400), SECRET, now=NOW)
    with pytest.raises(SignatureError, match=r"in the future \(-400 s old\)") as future:
        verify(BODY, signature(BODY, at=NOW + 400), SECRET, now=NOW)
    with pytest.raises(SignatureError) as forged:
        verify(BODY, signature(BODY, OTHER_SECRET, NOW - 400), SECRET, now=NOW)
    assert (old.value.age, future.value.age, forged.value.age) == (400, -400, None)


@pytest.mark.parametrize("secrets", [[OTHER_SECRET, SECRET], (SECRET, OTHER_SECRET), [SECRET, SECRET]])
def test_one_secret_of_several_is_enough(secrets: Any) -> None:
    assert reason(f"t={NOW},v1={GOOD}", secrets=secrets) is None
    assert reason(f"t={NOW},v1={GOOD}", secrets=["a", "b"]) == "mismatch"


def test_a_secret_may_be_a_member_of_an_enumeration() -> None:
    class Secrets(str, enum.Enum):  # noqa: UP042 # its `str()` is not its text, which is the point
        HOOK = SECRET

    assert reason(signature(BODY), secrets=Secrets.HOOK) is None
    assert sign(BODY, Secrets.HOOK, NOW) == signature(BODY)


def test_every_pair_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    genuine = hmac.compare_digest

    def counting(one: str, other: str) -> bool:
        compared.append(other)
        return genuine(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    assert reason(f"t={NOW},v1={GOOD},v1={OTHER},v1={'0' * 64}", secrets=[SECRET, OTHER_SECRET, "third"]) is None
    assert len(compared) == 9


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda body: memoryview(body[::-1])[::-1]])
def test_a_body_may_be_any_kind_of_bytes(kind: Any) -> None:
    assert reason(signature(BODY), body=kind(BODY)) is None


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"body": BODY.decode()}, TypeError, "body must be bytes, .* not str"),
        ({"body": None}, TypeError, "body must be bytes"),
        ({"header": signature(BODY).encode()}, TypeError, "header must be a str or None, not bytes"),
        ({"header": 5}, TypeError, "header must be"),
        ({"secrets": ""}, ValueError, "secrets must be visible ASCII without spaces; is it empty"),
        ({"secrets": [SECRET, ""]}, ValueError, "secrets must be visible ASCII"),
        ({"secrets": []}, ValueError, "secrets must hold at least one"),
        ({"secrets": None}, TypeError, "secrets must be a str or a sequence"),
        ({"secrets": b"whsec"}, TypeError, "secrets must be a str or a sequence of str, not bytes"),
        ({"secrets": [SECRET.encode()]}, TypeError, "secrets must be a str, not bytes"),
        *(
            ({"secrets": SECRET + odd}, ValueError, "secrets must be visible ASCII .* is there a line break at its end")
            for odd in ("\n", "\r\n", " ", "\t", "\0", "\x7f", "é", "\u200b", "\ufeff", "\ud800")
        ),
        ({"secrets": [SECRET, f" {SECRET}"]}, ValueError, "secrets must be visible ASCII"),
        ({"tolerance": -1}, ValueError, "tolerance must be 0 or more"),
        ({"tolerance": float("nan")}, ValueError, "tolerance must be finite"),
        ({"tolerance": float("inf")}, ValueError, "tolerance must be finite"),
        ({"tolerance": 10**400}, ValueError, "tolerance must be finite"),
        ({"tolerance": True}, TypeError, "tolerance must be a number"),
        ({"now": float("nan")}, ValueError, "now must be finite"),
        ({"now": "1748110442"}, TypeError, "now must be a number"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=f"^{says}") as caught:
        reason(**{"header": signature(BODY), **arguments})
    assert "whsec_" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("timestamp", "error"), [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (True, TypeError)]
)
def test_sign_refuses_what_is_no_time(timestamp: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^timestamp must"):
        sign(BODY, SECRET, timestamp)


def test_sign_refuses_a_body_that_is_text() -> None:
    body: Any = BODY.decode()
    with pytest.raises(TypeError, match=r"^body must be bytes"):
        sign(body, SECRET, NOW)


def test_the_largest_finite_tolerance_accepts_any_age() -> None:
    assert reason(signature(BODY), tolerance=sys.float_info.max, now=NOW + 10**9) is None


@pytest.mark.parametrize("secret", ["", f"{SECRET}\n", "whsec_ключ"])
def test_sign_refuses_a_secret_that_no_hook_has(secret: str) -> None:
    with pytest.raises(ValueError, match=r"^secret must be visible ASCII") as caught:
        sign(BODY, secret, NOW)
    assert "whsec_" not in str(caught.value)


@given(
    body=st.binary(max_size=200),
    secret=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1),
    at=st.integers(0, 2**40),
)
def test_what_is_signed_holds(body: bytes, secret: str, at: int) -> None:
    assert sign(body, secret, at) == signature(body, secret, at)
    verify(body, sign(body, secret, at), secret, now=at)


_items = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.builds("t={}".format, st.one_of(st.text(max_size=12), st.integers())),
        st.builds(
            "v1={}".format, st.one_of(st.text(max_size=70), st.text("0123456789abcdef", min_size=64, max_size=64))
        ),
    )
).map(",".join)


@given(body=st.binary(max_size=50), header=st.one_of(st.none(), st.text(), _items))
def test_whatever_comes_is_refused_with_one_error(body: bytes, header: str | None) -> None:
    with pytest.raises(SignatureError) as caught:
        verify(body, header, SECRET, now=NOW)
    assert isinstance(caught.value, UnlimCallError)
    assert caught.value.category == "application"
