"""The committed vectors of computing, by a second implementation, hold for core."""

import json
import subprocess
import sys
from hashlib import sha256, shake_128
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedsecure.core.homomorphic import answers, gmp, paillier, queries
from fedsecure.core.homomorphic.keys import Prime, SecretKey
from fedsecure.core.mpc import evaluate, matmul, ring, sharing, zero_sharing
from fedsecure.core.mpc.plan import plan
from fedsecure.core.mpc.program import Circuit, Input, Linear, Operation
from fedsecure.core.mpc.ring import Words
from fedsecure.errors import FedsecureError, OperatorError, PeerError

FOLDER = Path(__file__).parents[2] / "vectors"
Case = dict[str, Any]


def load(name: str) -> list[Case]:
    loaded: list[Case] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return loaded


def cases(name: str) -> list[Any]:
    return [
        pytest.param(case, id=case.get("case", case.get("name", str(number))))
        for number, case in enumerate(load(name))
    ]


def words_of(said: list[list[str]]) -> Words:
    return np.array(
        [[int(number) % 2**64 for number in row] for row in said], np.uint64
    )


def sample_words(name: str, rows: int, columns: int) -> Words:
    data = shake_128(f"fedsecure test {name}".encode()).digest(8 * rows * columns)
    return ring.from_bytes(data, (rows, columns))


def circuit_of(said: Case) -> Circuit:
    return Circuit(
        inputs=tuple(Input(**one) for one in said["inputs"]),
        operations=tuple(
            Operation(**one | {"of": tuple(one["of"])}) for one in said["operations"]
        ),
        outputs=tuple(said["outputs"]),
    )


def test_files_are_what_their_script_writes() -> None:
    script = [sys.executable, str(FOLDER / "generate_compute.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", cases("ring"))
def test_numbers_have_the_words_of_the_vectors(case: Case) -> None:
    numbers, words = np.array(case["numbers"]), words_of(case["words"])
    found = ring.encode(numbers, case["fraction_bits"], case["bound"])
    assert np.array_equal(found, words)
    step = 2.0 ** -case["fraction_bits"]
    assert np.abs(ring.decode(words, case["fraction_bits"]) - numbers).max() <= step / 2


@pytest.mark.parametrize("case", cases("bad_ring"))
def test_numbers_of_bad_vectors_are_refused(case: Case) -> None:
    numbers = np.array([[float(one) for one in row] for row in case["numbers"]])
    with pytest.raises(OperatorError, match=case["code"]):
        ring.encode(numbers, case["fraction_bits"], case["bound"])


@pytest.mark.parametrize("case", cases("input_sharing"))
def test_inputs_are_shared_as_in_the_vectors(case: Case) -> None:
    context = sharing.InputContext(
        bytes.fromhex(case["spec_digest"]),
        bytes.fromhex(case["input_id"]),
        case["owner"],
        case["name"],
    )
    shape, seed = (case["rows"], case["columns"]), bytes.fromhex(case["seed"])
    words = sample_words(case["words_name"], *shape)
    made = sharing.share(words, context, seed + b"\0")
    assert sha256(ring.to_bytes(made.vector)).hexdigest() == case["vector_sha256"]
    if "words" in case:
        assert np.array_equal(words, words_of(case["words"]))
        assert np.array_equal(made.vector + words_of(case["stream"]), words)
        assert ring.to_bytes(made.vector).hex() == case["vector"]
    assert np.array_equal(sharing.expand(seed, shape, context) + made.vector, words)


@pytest.mark.parametrize("case", cases("zero_sharing"))
def test_zero_is_shared_as_in_the_vectors(case: Case) -> None:
    context = zero_sharing.AnswerContext(
        bytes.fromhex(case["spec_digest"]), case["client"], case["query"]
    )
    keys = bytes.fromhex(case["key_of_first"]), bytes.fromhex(case["key_of_second"])
    found = zero_sharing.zero_words(keys, context, len(case["words"]))
    assert [str(word) for word in found.tolist()] == case["words"]


@pytest.mark.parametrize("case", cases("matmul"))
def test_products_are_those_of_the_vectors(case: Case) -> None:
    left = sample_words(case["left_name"], case["rows"], case["inner"])
    right = sample_words(case["right_name"], case["inner"], case["columns"])
    expected = words_of(case["product"])
    assert np.array_equal(matmul.product(left, right), expected)
    assert np.array_equal(matmul.float_product(left, right), expected)


@pytest.mark.parametrize("case", cases("circuits"))
def test_circuits_are_planned_and_computed_as_in_the_vectors(case: Case) -> None:
    program = circuit_of(case["program"])
    known, answers_found = plan(program), []
    for name, value in known.values.items():
        assert case["values"][name] == {
            "rows": value.rows,
            "columns": value.columns,
            "fraction_bits": value.fraction_bits,
            "bound": str(value.bound),
        }
    for server in ("first", "second"):
        held = {
            name: words_of(said) for name, said in case[f"held_by_{server}"].items()
        }
        found = evaluate.circuit(program, known, held, first=server == "first")
        assert [str(word) for word in found.tolist()] == case[server]
        answers_found.append(found)
    opened = [int(one) for one in case["opened"]]
    total = sharing.combine(*answers_found)
    assert total.view(np.int64).tolist() == opened
    read = evaluate.open_outputs(known, *answers_found)
    assert list(read) == case["program"]["outputs"]


@pytest.mark.parametrize("case", cases("bad_circuits"))
def test_bad_circuits_have_no_plan(case: Case) -> None:
    with pytest.raises(PeerError, match=case["code"]):
        plan(circuit_of(case["program"]))


@pytest.mark.parametrize("case", cases("linear"))
def test_linear_models_answer_as_in_the_vectors(case: Case) -> None:
    program, model = Linear(**case["program"]), words_of(case["model"])
    numbers = np.array(case["numbers"])
    words = ring.encode(numbers, program.fraction_bits, program.bound)
    shares = [words_of(case[f"rows_of_{server}"]) for server in ("first", "second")]
    assert np.array_equal(sharing.combine(*shares), words)
    first = evaluate.linear(program, model, shares[0], first=True)
    second = evaluate.linear(program, model, shares[1], first=False)
    assert np.array_equal(first, words_of(case["first"]))
    assert np.array_equal(second, words_of(case["second"]))
    assert np.array_equal(first + second, words_of(case["opened"]))
    exact = numbers @ np.array(case["weights"]) + np.array(case["bias"])
    read = evaluate.open_outputs(
        plan(program, 2), first.reshape(-1), second.reshape(-1)
    )
    assert np.abs(read["logits"] - exact).max() < 1e-3


TEXTBOOK, QUERY = load("paillier")


def key_of(case: Case) -> SecretKey:
    """A key that opens; generators are for encrypting only."""
    p, q = (gmp.integer(int(case[name])) for name in ("p", "q"))
    return SecretKey(Prime(p, 2), Prime(q, 2))


@pytest.mark.parametrize("one", TEXTBOOK["encrypted"])
def test_the_textbooks_ciphertexts_are_those_of_the_vectors(one: Case) -> None:
    p, q = int(TEXTBOOK["p"]), int(TEXTBOOK["q"])
    found = paillier.encrypted(p * q, one["plaintext"], one["root"])
    assert found == one["ciphertext"]
    assert key_of(TEXTBOOK).decrypt(one["ciphertext"]) == one["plaintext"]


def test_a_query_is_read_as_in_the_vectors() -> None:
    key, payload = key_of(QUERY), bytes.fromhex(QUERY["payload"])
    shape = len(QUERY["numbers"]), QUERY["program"]["features"]
    query = queries.read_query(payload, QUERY["bits"], shape)
    assert query.n == key.n
    opened = [[int(key.decrypt(one)) for one in row] for row in query.rows]
    assert opened == [[int(x) % int(key.n) for x in row] for row in QUERY["numbers"]]
    assert [int(root) for root in key.proof] == [
        int.from_bytes(payload[at : at + 256]) for at in range(256, 12 * 256, 256)
    ]


@pytest.mark.parametrize("one", QUERY["answers"], ids=lambda one: one["server"])
def test_a_server_answers_in_the_bytes_of_the_vectors(one: Case) -> None:
    payload = bytes.fromhex(QUERY["payload"])
    program, key = Linear(**QUERY["program"]), key_of(QUERY)
    query = queries.read_query(payload, QUERY["bits"], (2, program.features))
    zeros = words_of([one["zeros"]]).reshape(-1)
    found = answers.answer(
        program, words_of(one["model"]), query, zeros, bytes.fromhex(one["rand"])
    )
    assert found.hex() == one["answer"]
    width = QUERY["bits"] // 4
    opened = [
        str(key.decrypt(gmp.integer(int.from_bytes(found[at : at + width]))))
        for at in range(0, len(found), width)
    ]
    assert opened == one["plaintexts"]
    words = queries.decrypt(key, found, (2, program.outputs)).reshape(-1)
    assert [str(word) for word in words.tolist()] == one["words"]


def test_both_answers_of_the_vectors_open_to_the_logits() -> None:
    shares = [words_of([one["words"]]) for one in QUERY["answers"]]
    total = sharing.combine(*shares).view(np.int64)[0].tolist()
    assert [str(word) for word in total] == QUERY["opened"]
    (by_shares,) = load("linear")
    assert [one for row in by_shares["opened"] for one in row] == QUERY["opened"]


@pytest.mark.parametrize("case", cases("bad_paillier"))
def test_a_query_with_bytes_changed_is_refused(case: Case) -> None:
    payload, change = bytes.fromhex(QUERY["payload"]), bytes.fromhex(case["bytes"])
    data = payload[: case["at"]] + change + payload[case["at"] + len(change) :]
    with pytest.raises(FedsecureError, match=case["code"]):
        queries.read_query(data, QUERY["bits"], (2, QUERY["program"]["features"]))
