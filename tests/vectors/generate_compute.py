"""Write the vectors of computing on shares and on ciphertexts, from their reference.

    python tests/vectors/generate_compute.py           write them anew
    python tests/vectors/generate_compute.py --check   fail where a file differs

Vectors are never edited by hand. Words and other large integers are decimal text, for
many readers of JSON round them; bytes are hex.
"""

import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import compute_reference as compute
from compute_reference import Matrix
from reference import sample_bytes
from vector_files import write_or_compare

Case: TypeAlias = dict[str, Any]

SPEC = sample_bytes("compute spec", 32).hex()
KEYS = {
    "key_of_first": sample_bytes("channel of first", 32).hex(),
    "key_of_second": sample_bytes("channel of second", 32).hex(),
}


def said(matrix: Matrix) -> list[list[str]]:
    """A matrix of large integers as JSON holds it."""
    return [[str(number) for number in row] for row in matrix]


def sample_words(name: str, rows: int, columns: int) -> Matrix:
    """Words that look random and are the same everywhere: little-endian SHAKE128."""
    data = sample_bytes(name, 8 * rows * columns)
    return compute.rows_of(compute.read(data), columns)


def ring_cases() -> list[Case]:
    """Numbers, and their words."""
    numbers = [0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -0.5, -1.5, 0.1, -0.1, 1000.0, -1000.0]
    return [
        {
            "name": f"{bits} fraction bits",
            "fraction_bits": bits,
            "bound": 1000.0,
            "numbers": [numbers],
            "words": said([[compute.encode(one, bits) for one in numbers]]),
        }
        for bits in (0, 1, 16, 40)
    ]


def bad_ring_cases() -> list[Case]:
    """Numbers that are refused; NaN and infinities stand as text."""
    wrong = ["nan", "inf", "-inf", 2.5000000000000004, -3.0]
    return [
        {
            "name": f"bad_{one}",
            "code": "FS-224",
            "fraction_bits": 16,
            "bound": 2.5,
            "numbers": [[0.0, 2.5], [-2.5, one]],
        }
        for one in wrong
    ]


def sharing_cases() -> list[Case]:
    """Words, a seed, and both shares."""
    cases = []
    for name, owner, value, rows, columns in (
        ("one number", "hospital-a", "age", 1, 1),
        ("a matrix", "hospital-a", "counts", 3, 2),
        ("another owner", "clinic", "counts", 3, 2),
        ("a query", "clinic", "query", 2, 5),
        ("more than one chunk", "clinic", "query", 1, 2**17 + 3),
    ):
        case = {
            "case": name,
            "spec_digest": SPEC,
            "input_id": sample_bytes(f"input {value}", 16).hex(),
            "owner": owner,
            "name": value,
            "seed": sample_bytes("input seed", 32).hex(),
            "rows": rows,
            "columns": columns,
        }
        words = sample_words("input words", rows, columns)
        stream = compute.input_stream(case)
        vector = compute.elementwise(-1, words, stream)
        shown = {"words_name": "input words"}
        if rows * columns < 100:
            shown |= {"words": said(words), "stream": said(stream)}
            shown |= {"vector": compute.wire(vector).hex()}
        shown["vector_sha256"] = sha256(compute.wire(vector)).hexdigest()
        cases.append(case | shown)
    return cases


def zero_cases() -> list[Case]:
    """Words that one server adds and the other subtracts."""
    return [
        case | {"words": [str(word) for word in compute.zero_words(case, 5)]}
        for client, query in (("", 0), ("clinic", 1), ("clinic", 2**40))
        if (case := {"spec_digest": SPEC, "client": client, "query": query, **KEYS})
    ]


def matmul_cases() -> list[Case]:
    """Products of words that SHAKE128 gives."""
    cases = []
    for rows, inner, columns in (
        (1, 1, 1),
        (2, 3, 4),
        (1, 784, 10),
        (3, 2047, 4),
        (3, 2048, 4),
        (3, 2049, 4),
        (2, 4097, 2),
    ):
        left = sample_words("left", rows, inner)
        right = sample_words("right", inner, columns)
        found = compute.product(left, right)
        case = {"rows": rows, "inner": inner, "columns": columns}
        names = {"left_name": "left", "right_name": "right"}
        cases.append({**case, **names, "product": said(found)})
    return cases


def matrix(name: str, rows: int, columns: int, **changes: Any) -> Case:
    """What a program says of an input."""
    return {
        "name": name,
        "owner": f"owner-of-{name}",
        "rows": rows,
        "columns": columns,
        "fraction_bits": 16,
        "bound": 100.0,
        "secret": True,
        **changes,
    }


def step(op: str, result: str, *of: str, bits: int = 0) -> Case:
    """One operation."""
    return {"op": op, "result": result, "of": [*of], "bits": bits}


def circuit(inputs: list[Case], operations: list[Case], *outputs: str) -> Case:
    """A program."""
    return {"inputs": inputs, "operations": operations, "outputs": [*outputs]}


A, B = matrix("a", 2, 3), matrix("b", 2, 3)
PLAIN = matrix("p", 3, 2, secret=False, fraction_bits=8, bound=2.0)
SCALE = matrix("k", 1, 1, secret=False, fraction_bits=0, bound=7.0)
GOOD: dict[str, Case] = {
    "sum": circuit([A, B], [step("add", "s", "a", "b")], "s"),
    "difference": circuit([A, B], [step("subtract", "d", "a", "b")], "d"),
    "an input itself": circuit([A], [], "a"),
    "negated": circuit([A], [step("negate", "n", "a")], "n"),
    "times a public scalar": circuit(
        [A, SCALE], [step("multiply", "m", "k", "a")], "m"
    ),
    "plus a public scalar": circuit(
        [A, matrix("k", 1, 1, secret=False)], [step("add", "s", "a", "k")], "s"
    ),
    "a public matrix minus a secret scalar": circuit(
        [matrix("p", 2, 2, secret=False), matrix("x", 1, 1)],
        [step("subtract", "d", "p", "x")],
        "d",
    ),
    "matrix product": circuit([A, PLAIN], [step("matmul", "m", "a", "p")], "m"),
    "other scales, shifted": circuit(
        [A, matrix("b", 2, 3, fraction_bits=8)],
        [step("shift", "w", "b", bits=8), step("add", "s", "a", "w")],
        "s",
    ),
    "all of it, and two outputs": circuit(
        [A, B, PLAIN, SCALE],
        [
            step("multiply", "b3", "b", "k"),
            step("add", "s", "a", "b3"),
            step("matmul", "m", "s", "p"),
            step("negate", "n", "m"),
            step("add", "z", "n", "m"),
        ],
        "z",
        "s",
    ),
}


def circuit_cases() -> list[Case]:
    """Programs, ranges of all values, what each server holds and what it computes."""
    return [circuit_case(name, program) for name, program in GOOD.items()]


def circuit_case(name: str, program: Case) -> Case:
    """One program on words within its bounds."""
    plain, held = {}, ({}, {})
    for one in program["inputs"]:
        largest = round(one["bound"] * 2 ** one["fraction_bits"])
        drawn = sample_words(f"value {one['name']}", one["rows"], one["columns"])
        words = [
            [(word % (2 * largest + 1) - largest) % compute.WORD for word in row]
            for row in drawn
        ]
        share = sample_words(f"share {one['name']}", one["rows"], one["columns"])
        if not one["secret"]:
            share = words
        rest = compute.elementwise(-1, words, share) if one["secret"] else words
        plain[one["name"]], held[0][one["name"]] = words, share
        held[1][one["name"]] = rest
    first = compute.evaluate(program, held[0], first=True)
    second = compute.evaluate(program, held[1], first=False)
    public = {
        **program,
        "inputs": [one | {"secret": False} for one in program["inputs"]],
    }
    opened = compute.evaluate(public, plain, first=True)
    sums = [(a + b) % compute.WORD for a, b in zip(first, second, strict=True)]
    if sums != opened:
        sys.exit(f"{name}: the reference contradicts itself")
    found = compute.ranges(program)
    return {
        "name": name,
        "program": program,
        "values": {
            name: one | {"bound": str(one["bound"])} for name, one in found.items()
        },
        "held_by_first": {name: said(words) for name, words in held[0].items()},
        "held_by_second": {name: said(words) for name, words in held[1].items()},
        "first": [str(word) for word in first],
        "second": [str(word) for word in second],
        "opened": [str(compute.signed(word)) for word in opened],
    }


WIDE = matrix("a", 1, 1, fraction_bits=0, bound=2.0**61)
TALL = matrix("p", 4, 1, secret=False, fraction_bits=0, bound=2.0**30)
BAD: dict[str, tuple[str, Case]] = {
    "input_reaches_the_limit": (
        "FS-220",
        circuit([WIDE | {"bound": 2.0**62}], [], "a"),
    ),
    "sum_reaches_the_limit": (
        "FS-220",
        circuit([WIDE], [step("add", "s", "a", "a")], "s"),
    ),
    "shift_reaches_the_limit": (
        "FS-220",
        circuit([A], [step("shift", "s", "a", bits=40)], "s"),
    ),
    "matmul_reaches_the_limit": (
        "FS-220",
        circuit(
            [WIDE | {"bound": 2.0**30, "columns": 4}, TALL],
            [step("matmul", "m", "a", "p")],
            "m",
        ),
    ),
    "name_used_twice": ("FS-223", circuit([A, A], [], "a")),
    "result_has_the_name_of_an_input": (
        "FS-223",
        circuit([A, B], [step("add", "b", "a", "b")], "b"),
    ),
    "unknown_name": ("FS-223", circuit([A], [step("add", "s", "a", "z")], "s")),
    "used_before_it_is_made": (
        "FS-223",
        circuit([A], [step("negate", "s", "n"), step("negate", "n", "a")], "s"),
    ),
    "input_that_nothing_uses": ("FS-223", circuit([A, B], [], "a")),
    "result_that_nothing_uses": (
        "FS-223",
        circuit([A], [step("negate", "n", "a")], "a"),
    ),
    "no_output": ("FS-223", circuit([A], [])),
    "output_twice": ("FS-223", circuit([A], [], "a", "a")),
    "unknown_output": ("FS-223", circuit([A], [], "a", "z")),
    "public_output": ("FS-223", circuit([A, PLAIN], [], "a", "p")),
    "product_of_two_secrets": (
        "FS-223",
        circuit([A, B], [step("multiply", "m", "a", "b")], "m"),
    ),
    "matmul_of_two_secrets": (
        "FS-223",
        circuit([A, matrix("b", 3, 2)], [step("matmul", "m", "a", "b")], "m"),
    ),
    "other_fraction_bits": (
        "FS-223",
        circuit(
            [A, matrix("b", 2, 3, fraction_bits=8)], [step("add", "s", "a", "b")], "s"
        ),
    ),
    "other_shapes": (
        "FS-223",
        circuit([A, matrix("b", 3, 2)], [step("add", "s", "a", "b")], "s"),
    ),
    "inner_sizes_that_differ": (
        "FS-223",
        circuit(
            [A, matrix("p", 2, 3, secret=False)], [step("matmul", "m", "a", "p")], "m"
        ),
    ),
    "one_operand": ("FS-223", circuit([A], [step("add", "s", "a")], "s")),
    "bits_without_shift": (
        "FS-223",
        circuit([A], [step("negate", "n", "a", bits=1)], "n"),
    ),
    "shift_by_nothing": ("FS-223", circuit([A], [step("shift", "s", "a")], "s")),
    "unknown_operation": ("FS-223", circuit([A], [step("square", "s", "a")], "s")),
    "no_rows": ("FS-223", circuit([A | {"rows": 0}], [], "a")),
    "no_bound": ("FS-223", circuit([A | {"bound": 0.0}], [], "a")),
}


def bad_circuit_cases() -> list[Case]:
    """Programs that have no plan."""
    return [
        {"name": f"bad_{name}", "code": code, "program": program}
        for name, (code, program) in BAD.items()
    ]


LINEAR = {
    "features": 3,
    "outputs": 2,
    "fraction_bits": 16,
    "weight_bits": 16,
    "bound": 50.0,
    "weight_bound": 4.0,
    "bias_bound": 10.0,
}
NUMBERS = [[50.0, -50.0, 0.1], [-1.5, 3.0, 0.0]]
WEIGHTS = [[4.0, -4.0], [0.5, 0.7], [-2.0, 3.25]]
BIAS = [10.0, -9.9]
ROWS = [[compute.encode(x, 16) for x in row] for row in NUMBERS]
MODEL = [
    *([compute.encode(w, 16) for w in row] for row in WEIGHTS),
    [compute.encode(b, 32) for b in BIAS],
]


def logits(rows: Matrix, first: bool) -> Matrix:
    """One server's words: its share of the rows times weights that it knows."""
    *weights, bias = MODEL
    found = compute.product(rows, weights)
    return compute.elementwise(1, found, [bias] * len(rows)) if first else found


def linear_cases() -> list[Case]:
    """A linear model whose weights both servers know, and shared rows."""
    share = sample_words("share of rows", 2, 3)
    rest = compute.elementwise(-1, ROWS, share)
    first, second = logits(share, True), logits(rest, False)
    opened = compute.elementwise(1, first, second)
    return [
        {
            "name": "two rows, two outputs",
            "program": LINEAR,
            "numbers": NUMBERS,
            "weights": WEIGHTS,
            "bias": BIAS,
            "model": said(MODEL),
            "rows_of_first": said(share),
            "rows_of_second": said(rest),
            "first": said(first),
            "second": said(second),
            "opened": said([[compute.signed(word) for word in row] for row in opened]),
        }
    ]


def hexed(numbers: list[int], width: int) -> str:
    """Numbers of so many bytes each, one behind the other."""
    return b"".join(number.to_bytes(width) for number in numbers).hex()


N = compute.P * compute.Q
ENCRYPTED = [
    [
        compute.encrypt(N, compute.signed(word), 2 + 3 * row + column)
        for column, word in enumerate(words)
    ]
    for row, words in enumerate(ROWS)
]
PAYLOAD = hexed([N, *compute.roots(compute.P, compute.Q)], 256) + hexed(
    [one for row in ENCRYPTED for one in row], 512
)


def paillier_cases() -> list[Case]:
    """The textbook's small key, then a query under one of 2048 bits and its answers."""
    small = [
        {"plaintext": m, "root": r, "ciphertext": compute.encrypt(35, m, r)}
        for m, r in ((5, 2), (5, 4), (10, 8), (10, 4), (0, 3), (34, 6))
    ]
    share = sample_words("share of model", 4, 2)
    rest = compute.elementwise(-1, MODEL, share)
    context = {"spec_digest": SPEC, "client": "clinic", "query": 1, **KEYS}
    zeros = compute.zero_words(context, 4)
    negative = [-word % compute.WORD for word in zeros]
    answers = [
        one_answer("first", share, zeros),
        one_answer("second", rest, negative),
    ]
    sums = [
        sum(int(one["words"][place]) for one in answers) % compute.WORD
        for place in range(4)
    ]
    return [
        {"name": "n = 35", "p": "5", "q": "7", "encrypted": small},
        {
            "name": "two rows, two outputs",
            "bits": 2048,
            "p": str(compute.P),
            "q": str(compute.Q),
            "program": LINEAR,
            "numbers": said([[compute.signed(word) for word in row] for row in ROWS]),
            "payload": PAYLOAD,
            "answers": answers,
            "opened": [str(compute.signed(word)) for word in sums],
        },
    ]


def one_answer(name: str, model: Matrix, zeros: list[int]) -> Case:
    """What one server is given, and what it must answer."""
    numbers = [[compute.signed(word) for word in row] for row in ROWS]
    rand = sample_bytes(f"rand of {name}", 32).hex()
    case = {"rand": rand, "program": LINEAR, "numbers": numbers}
    found, plain = compute.answer(case, ENCRYPTED, model, zeros)
    if compute.decrypt(compute.P, compute.Q, found[0]) != plain[0]:
        sys.exit(f"{name}: the reference contradicts itself")
    return {
        "server": name,
        "model": said(model),
        "zeros": [str(word) for word in zeros],
        "rand": rand,
        "answer": hexed(found, 512),
        "plaintexts": [str(one) for one in plain],
        "words": [str(one % compute.WORD) for one in plain],
    }


def bad_paillier_cases() -> list[Case]:
    """Queries that are refused: the good one, with bytes changed from a place on."""

    def changed(name: str, at: int, number: int, width: int) -> Case:
        place = {"at": at, "bytes": number.to_bytes(width).hex()}
        return {"name": f"bad_{name}", "code": "FS-731", **place}

    first, multiple = 12 * 256, N - N % 6361
    return [
        changed("even_key", 0, N - 1, 256),
        changed("key_of_2047_bits", 0, N >> 1, 256),
        changed(
            "key_with_a_small_factor", 0, multiple - 6361 * (multiple % 2 == 0), 256
        ),
        changed("no_root", 256, 1, 256),
        changed("last_root", 11 * 256, 1, 256),
        changed("ciphertext_zero", first, 0, 512),
        changed("ciphertext_n", first, N, 512),
        changed("ciphertext_of_a_prime", first + 512, compute.P, 512),
        changed("ciphertext_n_squared", first + 5 * 512, N * N, 512),
        changed("ciphertext_beyond", first, 2**4096 - 1, 512),
    ]


FILES: dict[str, Callable[[], list[Case]]] = {
    "ring.json": ring_cases,
    "bad_ring.json": bad_ring_cases,
    "input_sharing.json": sharing_cases,
    "zero_sharing.json": zero_cases,
    "matmul.json": matmul_cases,
    "circuits.json": circuit_cases,
    "bad_circuits.json": bad_circuit_cases,
    "linear.json": linear_cases,
    "paillier.json": paillier_cases,
    "bad_paillier.json": bad_paillier_cases,
}


if __name__ == "__main__":
    write_or_compare(FILES, Path(__file__).name)
