"""Write the vectors of signatures at Ed25519's edges, from arithmetic alone.

    python tests/vectors/generate_ed25519.py           write them anew
    python tests/vectors/generate_ed25519.py --check   fail where the file differs

The families are those of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko;
SSR 2020), where verifiers that all follow RFC 8032 disagree. Each case says whether the
key may stand in a federation file, and whether the signature holds. Curve arithmetic is
written out, for no library makes such points. Vectors are never edited by hand.
"""

import json
import sys
from collections.abc import Iterator
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

PATH = Path(__file__).parent / "ed25519.json"

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

Point = tuple[int, int]
IDENTITY: Point = (0, 1)


def add(a: Point, b: Point) -> Point:
    """The sum of two points of -x^2 + y^2 = 1 + d x^2 y^2."""
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P
    return x, y


def times(scalar: int, point: Point) -> Point:
    """A multiple of a point."""
    total = IDENTITY
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def negative(point: Point) -> Point:
    """The point's inverse."""
    return -point[0] % P, point[1]


def with_y(y: int) -> Point | None:
    """The point of this y with an even x, if there is one."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return None
    return (x if x % 2 == 0 else P - x), y


def encode(point: Point, y: int | None = None) -> bytes:
    """32 bytes; `y` is another number that means the same."""
    return ((point[0] % 2 << 255) | (point[1] if y is None else y)).to_bytes(
        32, "little"
    )


def of_order_eight() -> Point:
    """A point of order 8: what is left of some point without its large part."""
    for y in range(2, 100):
        point = with_y(y)
        if point is not None:
            small = times(L, point)
            if times(4, small) != IDENTITY:
                return small
    raise LookupError


BASE_Y = 4 * pow(5, -1, P) % P
BASE = with_y(BASE_Y) or IDENTITY
SMALL = of_order_eight()


def number(name: str) -> int:
    """Some scalar."""
    return int.from_bytes(sha512(name.encode()).digest(), "little") % L


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    """k of RFC 8032."""
    return int.from_bytes(sha512(r + a + message).digest(), "little") % L


def case(
    name: str, a: bytes, message: bytes, signature: bytes, *, key: bool, holds: bool
) -> dict[str, Any]:
    """One signature; `key`: it may stand in a federation file."""
    return {
        "name": name,
        "key": a.hex(),
        "message": message.hex(),
        "signature": signature.hex(),
        "key_allowed": key,
        "holds": holds,
    }


def signature(r: bytes, s: int) -> bytes:
    """64 bytes."""
    return r + s.to_bytes(32, "little")


def searched(name: str, torsion_of_key: Point, torsion_of_r: Point, found: Any) -> Any:
    """Try messages until the challenge is as it must be; return what signs."""
    secret, nonce = number("key"), number("nonce")
    a = add(times(secret, BASE), torsion_of_key)
    r = add(times(nonce, BASE), torsion_of_r)
    for attempt in range(1000):
        message = sha256(f"{name} {attempt}".encode()).digest()
        k = challenge(encode(r), encode(a), message)
        if found(k):
            s = (nonce + k * secret) % L
            return encode(a), message, signature(encode(r), s)
    raise LookupError


def honest() -> Iterator[dict[str, Any]]:
    """As RFC 8032 signs, and then S made larger by the group's order."""
    a, message, good = searched("honest", IDENTITY, IDENTITY, lambda _: True)
    yield case("honest", a, message, good, key=True, holds=True)
    s = int.from_bytes(good[32:], "little")
    for name, more in (("S + L", s + L), ("S + 2 L", s + 2 * L)):
        yield case(name, a, message, signature(good[:32], more), key=True, holds=False)
    flipped = good[:-1] + bytes([good[-1] ^ 0x80])
    yield case("S with its highest bit", a, message, flipped, key=True, holds=False)


def mixed() -> Iterator[dict[str, Any]]:
    """Points with a part of small order: where the cofactor decides."""
    made = searched("mixed A", SMALL, IDENTITY, lambda k: k % 8 != 0)
    yield case("mixed A, cofactored alone", *made, key=True, holds=False)
    made = searched("mixed A", SMALL, IDENTITY, lambda k: k % 8 == 0)
    yield case("mixed A, both", *made, key=True, holds=True)
    made = searched("mixed R", IDENTITY, SMALL, lambda _: True)
    yield case("mixed R, cofactored alone", *made, key=True, holds=False)
    made = searched("both mixed", SMALL, SMALL, lambda k: k % 8 != 7)
    yield case("mixed A and R, cofactored alone", *made, key=True, holds=False)
    made = searched("both mixed", SMALL, SMALL, lambda k: k % 8 == 7)
    yield case("mixed A and R, both", *made, key=True, holds=True)


def small_r() -> Iterator[dict[str, Any]]:
    """R of small order. Its signer gives the private key away; nobody else can."""
    secret = number("key")
    a, message = encode(times(secret, BASE)), sha256(b"small R").digest()
    for name, r, holds in (
        ("R is the identity", encode(IDENTITY), True),
        ("R is the identity, y + p", encode(IDENTITY, 1 + P), False),
        ("R is the identity, negative", encode((1, 1)), False),
    ):
        k = challenge(r, a, message)
        made = signature(r, k * secret % L)
        yield case(name, a, message, made, key=True, holds=holds)


def small_keys() -> Iterator[dict[str, Any]]:
    """Keys for which anybody can sign: S is 0, and R is - k A."""
    points = [times(i, SMALL) for i in range(8)]
    spelled = [(f"A is {i} of 8", one, encode(one)) for i, one in enumerate(points)]
    spelled.append(("A is the identity, y + p", IDENTITY, encode(IDENTITY, 1 + P)))
    spelled.append(("A is the identity, negative", IDENTITY, encode((1, 1))))
    spelled.append(("A has y = 0, as p", times(2, SMALL), encode(times(2, SMALL), P)))
    for name, point, a in spelled:
        message, made = forged(point, a)
        yield case(name, a, message, made, key=False, holds=True)


def forged(point: Point, a: bytes) -> tuple[bytes, bytes]:
    """A message and what passes for its signature, without a private key."""
    for attempt in range(1000):
        message = sha256(a + bytes([attempt % 256, attempt // 256])).digest()
        for i in range(8):
            r = encode(times(i, SMALL))
            k = challenge(r, a, message)
            if times(i, SMALL) == times(k % 8, negative(point)):
                return message, signature(r, 0)
    raise LookupError


def keys() -> Iterator[dict[str, Any]]:
    """Keys that are another spelling of a point, or no point at all."""
    message = sha256(b"keys").digest()
    nothing = signature(encode(BASE), 0)
    y = next(y for y in range(2, 19) if with_y(y))
    point = with_y(y) or IDENTITY
    for name, a in (
        ("A with y + p", encode(point, y + P)),
        ("A with y = 2^255 - 1", (2**255 - 1).to_bytes(32, "little")),
    ):
        yield case(name, a, message, nothing, key=False, holds=False)
    none = next(y for y in range(2, 100) if with_y(y) is None)
    a = none.to_bytes(32, "little")
    yield case("A is no point", a, message, nothing, key=True, holds=False)


def cases() -> list[dict[str, Any]]:
    """All of them."""
    return [*honest(), *mixed(), *small_r(), *small_keys(), *keys()]


def main() -> None:
    """Write the file, or compare it."""
    text = json.dumps(cases(), indent=1) + "\n"
    if "--check" not in sys.argv[1:]:
        PATH.write_text(text, "utf-8")
    elif PATH.read_text("utf-8") != text:
        sys.exit(f"{PATH.name} is not what {Path(__file__).name} writes")


if __name__ == "__main__":
    main()
