"""Mutated deliveries: every one must be refused, and with `SignatureError`.

    python -m tests.webhooks.mutations                            100,000 of them
    python -m tests.webhooks.mutations --deliveries 1000000

Each starts as a genuine delivery, signed by the oracle of these tests and accepted, and is then changed in one way: a bit of the
body or of the header, the time, the encoding, the shape of the header, the key. What would leave it genuine is not a mutation: the
items of the header in another order, items of other names, a second signature.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from tests.webhooks.oracle import NOW, OTHER_SECRET, SECRET, mac, signature
from unlimcall_async import SignatureError
from unlimcall_async.webhooks import receive

Delivery: TypeAlias = tuple[bytes, str | None]
Mutation: TypeAlias = Callable[[bytes, str, random.Random], Delivery]


def body_bit(body: bytes, header: str, chance: random.Random) -> Delivery:
    place = chance.randrange(len(body))
    return body[:place] + bytes([body[place] ^ 1 << chance.randrange(8)]) + body[place + 1 :], header


def body_cut(body: bytes, header: str, chance: random.Random) -> Delivery:
    return chance.choice([body[: chance.randrange(len(body))], body[chance.randrange(1, len(body) + 1) :]]), header


def body_longer(body: bytes, header: str, chance: random.Random) -> Delivery:
    place = chance.randrange(len(body) + 1)
    return body[:place] + chance.choice([b" ", b"\n", b"\0", b"\xff", b"\xef\xbb\xbf", body]) + body[place:], header


def body_written_anew(body: bytes, header: str, chance: random.Random) -> Delivery:
    text = body.decode()
    return chance.choice(
        [
            json.dumps(json.loads(text), indent=chance.randrange(1, 9)).encode(),
            text.encode(chance.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7"])),
            text.replace("\u00e9", unicodedata.normalize("NFD", "\u00e9")).encode(),
            text.replace("\u00e9", "\\u00e9").encode(),
            text.encode("latin-1"),
            body.swapcase(),
            body.replace(b'"', b"'"),
            memoryview(body)[::-1].tobytes(),
        ]
    ), header


def header_bit(body: bytes, header: str, chance: random.Random) -> Delivery:
    place = chance.randrange(len(header))
    return body, header[:place] + chr(ord(header[place]) ^ 1 << chance.randrange(16)) + header[place + 1 :]


def header_cut(body: bytes, header: str, chance: random.Random) -> Delivery:
    return body, chance.choice([None, "", header[: chance.randrange(len(header))], header[chance.randrange(1, 80) :]])


def header_longer(body: bytes, header: str, chance: random.Random) -> Delivery:
    place = chance.randrange(len(header) + 1)
    odd = chance.choice(
        [" ", "\t", "\n", "\0", "0", "f", "=", "\u0660", "\uff11", "\ud800", "\U0001d7ce", "v1=", ",", "t=1,"]
    )
    return body, header[:place] + odd + header[place:]


def header_doubled(body: bytes, header: str, chance: random.Random) -> Delivery:
    stamp, digest = header.split(",")
    return body, chance.choice(
        [f"{header},{header}", f"{header}, {header}", f"{stamp},{stamp},{digest}", f"{stamp},{digest}{digest}"]
    )


def digits_of_other_scripts(body: bytes, header: str, chance: random.Random) -> Delivery:
    zero = chance.choice([0x660, 0x966, 0xFF10, 0x1D7CE, 0x1D7E2])
    shifted = {ord("0") + digit: chr(zero + digit) for digit in range(10)}
    stamp, digest = header.split(",")
    return body, chance.choice(
        [f"t={stamp[2:].translate(shifted)},{digest}", f"{stamp},v1={digest[3:].translate(shifted)}"]
    )


def letters_in_capitals(body: bytes, header: str, chance: random.Random) -> Delivery:
    stamp, digest = header.split(",")
    return body, chance.choice([header.upper(), f"{stamp},v1={digest[3:].upper()}", header.replace("t=", "T=")])


def time_written_otherwise(body: bytes, header: str, chance: random.Random) -> Delivery:
    stamp, digest = header[2:].split(",")
    other = chance.choice(
        [f"0{stamp}", f"+{stamp}", f"-{stamp}", f"{stamp}.0", f"{stamp[0]}_{stamp[1:]}", f"{stamp}e0", hex(int(stamp))]
    )
    return body, f"t={other},{digest}"


def time_of_another(body: bytes, header: str, chance: random.Random) -> Delivery:
    shift = chance.choice([1, 60, 299, 86400, 10**9, 10**30, 10**300, 10**400]) * chance.choice([-1, 1])
    digest = header.split(",")[1]
    return body, f"t={abs(NOW + shift)},{digest}"


def signed_at_another_time(body: bytes, _header: str, chance: random.Random) -> Delivery:
    shift = chance.choice([301, 302, 86400, 10**9]) * chance.choice([-1, 1])
    at: str = chance.choice([str(abs(NOW + shift)), "9" * chance.randrange(11, 5000)])
    return body, signature(body, SECRET, at)


def signed_by_another(body: bytes, _header: str, chance: random.Random) -> Delivery:
    return body, signature(body, chance.choice([OTHER_SECRET, SECRET[6:], SECRET[:-1], f"{SECRET}\n", SECRET.lower()]))


def signed_otherwise(body: bytes, header: str, chance: random.Random) -> Delivery:
    key, stamp = SECRET.encode(), str(NOW).encode()
    message = chance.choice([body, stamp + body, stamp + b"." + body + b"\n", body + b"." + stamp, stamp + b"," + body])
    return body, chance.choice([f"{header[:13]}v1={mac(key, message)}", f"t={NOW},v1={mac(b'', stamp + b'.' + body)}"])


MUTATIONS: tuple[Mutation, ...] = (
    body_bit,
    body_cut,
    body_longer,
    body_written_anew,
    header_bit,
    header_cut,
    header_longer,
    header_doubled,
    digits_of_other_scripts,
    letters_in_capitals,
    time_written_otherwise,
    time_of_another,
    signed_at_another_time,
    signed_by_another,
    signed_otherwise,
)


def bodies(chance: random.Random) -> list[bytes]:
    events = ["call.ended", "call.transferred", "disposition.set", "dnc.added", "lead.completed"]
    return [
        json.dumps(
            {
                "event": event,
                "eventId": f"evt_{chance.randrange(10**9)}",
                "note": "caf\u00e9",
                "more": "x" * chance.randrange(300),
            },
            ensure_ascii=False,
        ).encode()
        for event in events
        for _ in range(20)
    ]


def run(deliveries: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Count the mutations that were refused, and name those that were not, or not rightly."""
    chance = random.Random(seed)
    genuine = [(body, signature(body)) for body in bodies(chance)]
    for body, header in genuine:
        receive(body, header, [OTHER_SECRET, SECRET], now=NOW)
    refused: Counter[str] = Counter()
    wrong: list[str] = []
    while refused.total() + len(wrong) < deliveries:
        mutate = MUTATIONS[(refused.total() + len(wrong)) % len(MUTATIONS)]
        chosen = chance.choice(genuine)
        mutated: Delivery = chosen
        while mutated == chosen:
            mutated = mutate(*chosen, chance)
        try:
            receive(*mutated, SECRET, now=NOW)
        except SignatureError:
            refused[mutate.__name__] += 1
        except Exception as error:  # noqa: BLE001 # any other is what is looked for
            wrong.append(f"{mutate.__name__}: {error!r}: {mutated}")
        else:
            wrong.append(f"{mutate.__name__}: accepted: {mutated}")
    return refused, wrong


def main() -> int:
    """Run it, and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    refused, wrong = run(options.deliveries, options.seed)
    for name, count in refused.items():
        print(f"{count:>9,}  {name.replace('_', ' ')}")
    print(f"{refused.total():>9,}  refused with SignatureError, {len(wrong)} not", *wrong[:20], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
