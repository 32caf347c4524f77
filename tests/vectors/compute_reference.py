"""Computing on shares, and on what Paillier encrypts, a second time.

Python's integers and fractions instead of arrays and GMP; no code of fedsecure. Words
are integers from 0 to 2**64 - 1, matrices are lists of rows.
"""

import hashlib
from fractions import Fraction
from math import lcm
from typing import Any, TypeAlias

import reference
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Matrix: TypeAlias = list[list[int]]
Program: TypeAlias = dict[str, Any]

WORD = 2**64
LIMIT = 2**62


def signed(word: int) -> int:
    """The number nearest to zero that a word stands for."""
    return word - WORD if word >= WORD // 2 else word


def encode(number: float, fraction_bits: int) -> int:
    """The nearest word, ties to even."""
    return round(Fraction(number) * 2**fraction_bits) % WORD


def rows_of(words: list[int], columns: int) -> Matrix:
    """Words in rows."""
    return [words[at : at + columns] for at in range(0, len(words), columns)]


def wire(matrix: Matrix) -> bytes:
    """Little-endian words, row by row."""
    return b"".join(word.to_bytes(8, "little") for row in matrix for word in row)


def read(data: bytes) -> list[int]:
    """The words of those bytes."""
    return [
        int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)
    ]


def prefixed(text: str) -> bytes:
    """A text behind its length."""
    return len(text.encode()).to_bytes(2) + text.encode()


def stream(seed: bytes, info: bytes, size: int) -> bytes:
    """The first bytes of the key stream of a key that is derived for `info`."""
    return reference.key_stream(reference.hkdf(seed, info), size)


def input_stream(case: dict[str, Any]) -> Matrix:
    """The words that a seed stands for."""
    info = (
        b"fedsecure v1 mask input\0"
        + bytes.fromhex(case["spec_digest"])
        + bytes.fromhex(case["input_id"])
        + prefixed(case["owner"])
        + prefixed(case["name"])
    )
    size = 8 * case["rows"] * case["columns"]
    data = stream(bytes.fromhex(case["seed"]), info, size)
    return rows_of(read(data), case["columns"])


def zero_words(case: dict[str, Any], count: int) -> list[int]:
    """What the first server adds, and the second subtracts."""
    info = (
        b"fedsecure v1 zero sharing\0"
        + bytes.fromhex(case["spec_digest"])
        + prefixed(case["client"])
        + case["query"].to_bytes(8)
    )
    keys = bytes.fromhex(case["key_of_first"] + case["key_of_second"])
    return read(stream(keys, info, 8 * count))


def product(left: Matrix, right: Matrix) -> Matrix:
    """A matrix product of integers, reduced mod 2**64."""
    columns = list(zip(*right, strict=True))
    return [
        [
            sum(a * b for a, b in zip(row, column, strict=True)) % WORD
            for column in columns
        ]
        for row in left
    ]


def spread(matrix: Matrix, like: Matrix) -> Matrix:
    """A scalar as often as the other operand has numbers."""
    if len(matrix) * len(matrix[0]) > 1:
        return matrix
    return [[matrix[0][0]] * len(like[0]) for _ in like]


def elementwise(sign: int, left: Matrix, right: Matrix) -> Matrix:
    """Sum (1), difference (-1) or product (0), element by element."""
    pairs = zip(spread(left, right), spread(right, left), strict=True)
    return [
        [(a + sign * b if sign else a * b) % WORD for a, b in zip(*row, strict=True)]
        for row in pairs
    ]


SIGNS = {"add": 1, "subtract": -1, "multiply": 0}


def step(operation: dict[str, Any], operands: list[Matrix]) -> Matrix:
    """One operation, on plain words."""
    if operation["op"] in SIGNS:
        return elementwise(SIGNS[operation["op"]], *operands)
    if operation["op"] == "matmul":
        return product(*operands)
    factor = -1 if operation["op"] == "negate" else 2 ** operation["bits"]
    return [[word * factor % WORD for word in row] for row in operands[0]]


def evaluate(program: Program, held: dict[str, Matrix], first: bool) -> list[int]:
    """One server's words of all outputs."""
    words = dict(held)
    secret = {one["name"]: one["secret"] for one in program["inputs"]}
    for operation in program["operations"]:
        names = operation["of"]
        operands = [words[name] for name in names]
        secret[operation["result"]] = any(secret[name] for name in names)
        if operation["op"] in {"add", "subtract"} and secret[operation["result"]]:
            operands = [
                one if first or secret[name] else [[0] * len(row) for row in one]
                for name, one in zip(names, operands, strict=True)
            ]
        words[operation["result"]] = step(operation, operands)
    return [word for name in program["outputs"] for row in words[name] for word in row]


def ranges(program: Program) -> dict[str, dict[str, Any]]:
    """Fraction bits and bounds of all values of a good circuit."""
    found = {
        one["name"]: {
            "rows": one["rows"],
            "columns": one["columns"],
            "fraction_bits": one["fraction_bits"],
            "bound": round(Fraction(one["bound"]) * 2 ** one["fraction_bits"]),
        }
        for one in program["inputs"]
    }
    for operation in program["operations"]:
        found[operation["result"]] = ranged(
            operation, [found[name] for name in operation["of"]]
        )
    return found


def ranged(operation: dict[str, Any], of: list[dict[str, Any]]) -> dict[str, Any]:
    """What one operation makes of what is known of its operands."""
    a, b = of[0], of[-1]
    wide = b if a["rows"] * a["columns"] == 1 else a
    bits, bound = a["fraction_bits"], a["bound"]
    shape = {"rows": wide["rows"], "columns": wide["columns"]}
    if operation["op"] == "shift":
        bits, bound = bits + operation["bits"], bound * 2 ** operation["bits"]
    elif operation["op"] in {"add", "subtract"}:
        bound += b["bound"]
    elif operation["op"] in {"multiply", "matmul"}:
        bits, bound = bits + b["fraction_bits"], bound * b["bound"]
    if operation["op"] == "matmul":
        bound *= a["columns"]
        shape = {"rows": a["rows"], "columns": b["columns"]}
    return {**shape, "fraction_bits": bits, "bound": bound}


# Paillier


P = int(
    "d648b695bbc3f464eb054ad1f1ab5f1fbb7cdafbd8d3db349e08013a0d393215abded4dc"
    "20575bafb253f80f6793264b15260f37eb2c64b2c5ebd3a914e44b100c6eba10ae6b2b44"
    "0d8de1f7b5673f49e986e2b5bea6ff8ce82df0457dca84394f8b7334d2c619a7e21bcf69"
    "351a543992844cd6693c1e114b7f234298f8dbb7",
    16,
)
Q = int(
    "fd34860581243c62f05621eaa1e11788b934de0acab2948fd5284bc81842a0f2cd84bab3"
    "fded31acabb75b786ff112e1842a9954ca9127d238f0f10c8f5f119f0a5662044029f615"
    "ac2cb2dd351aeb593c75b164f7f44018e695dfae1824fbf5f12fddbf8650718cce301f0f"
    "a177ac6a6e345ca0a018bbd47f490a6935987b05",
    16,
)


def draws(seed: bytes, label: bytes, place: int, limit: int) -> int:
    """The integer below `limit` that is drawn at a place: a chunk of the stream."""
    key = reference.hkdf(seed, label + b"\0")
    size = -(-limit.bit_length() // 8) + 16
    block = place.to_bytes(12) + (2).to_bytes(4)
    cipher = Cipher(algorithms.AES(key), modes.CTR(block)).encryptor()
    return int.from_bytes(cipher.update(bytes(size))) % limit


def encrypt(n: int, plaintext: int, root: int) -> int:
    """Encrypt with a given root."""
    return (1 + plaintext % n * n) * pow(root, n, n * n) % (n * n)


def decrypt(p: int, q: int, ciphertext: int) -> int:
    """Open by the group's exponent, as the paper does."""
    n, exponent = p * q, lcm(p - 1, q - 1)
    value = (pow(ciphertext, exponent, n * n) - 1) // n
    return value * pow(exponent, -1, n) % n


def challenges(n: int) -> list[int]:
    """The eleven numbers whose roots prove a key."""
    width = -(-n.bit_length() // 8)
    facts = b"fedsecure v1 paillier proof\0" + n.to_bytes(width)
    return [
        int.from_bytes(hashlib.shake_256(facts + bytes([place])).digest(width + 16)) % n
        for place in range(11)
    ]


def roots(p: int, q: int) -> list[int]:
    """Their roots."""
    n = p * q
    exponent = pow(n, -1, lcm(p - 1, q - 1))
    return [pow(number, exponent, n) for number in challenges(n)]


def answer(
    case: dict[str, Any], rows: Matrix, model: Matrix, zeros: list[int]
) -> tuple[list[int], list[int]]:
    """One server's ciphertexts of encrypted rows, and what each must open to."""
    label, seed, n = b"fedsecure v1 paillier answer", bytes.fromhex(case["rand"]), P * Q
    program, found, plain = case["program"], [], []
    bound = round(Fraction(program["bound"]) * 2 ** program["fraction_bits"])
    margin = (program["features"] * bound + 1) * WORD
    *weights, bias = model
    for row, numbers in zip(rows, case["numbers"], strict=True):
        for output in range(program["outputs"]):
            place, column = len(found), [line[output] for line in weights]
            high = draws(seed, label, 2 * place, (n - 2 * margin) // WORD)
            root = 1 + draws(seed, label, 2 * place + 1, n - 1)
            constant = bias[output] + margin + WORD * high + zeros[place]
            total = encrypt(n, constant, root)
            for ciphertext, weight in zip(row, column, strict=True):
                total = total * pow(ciphertext, weight, n * n) % (n * n)
            found.append(total)
            products = (x * w for x, w in zip(numbers, column, strict=True))
            plain.append(constant + sum(products))
    return found, plain
