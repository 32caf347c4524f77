"""Write the vectors of signed statements about jobs, from the reference alone.

    python tests/vectors/generate_jobs.py           write them anew
    python tests/vectors/generate_jobs.py --check   fail where a file differs

Vectors are never edited by hand.
"""

from collections.abc import Callable
from pathlib import Path

import job_reference as jobs
from job_reference import AUTHOR_FIELD, MAY_SIGN, STATEMENTS, identifier
from statement_reference import (
    OWNER,
    Content,
    canonical,
    digest,
    header,
    sign,
    token_digest,
)
from vector_files import write_or_compare

SEALING_KEY = str(STATEMENTS["job-query"][2]["sealing_key"])
CHANNEL_KEY = str(STATEMENTS["job-channel"][2]["key"])
PLAIN = str(STATEMENTS["public input"][2]["plain"])


def statement_cases() -> list[Content]:
    """Good tokens; `signers`: everybody whose role may say this."""
    cases = []
    for name, (typ, signer, content) in STATEMENTS.items():
        token = sign(header(typ, signer), canonical(content), signer)
        cases.append(
            {
                "name": name,
                "typ": typ,
                "signer": signer,
                "signers": MAY_SIGN[typ],
                "statement": content,
                "token": token,
                "digest": token_digest(token),
            }
        )
    return cases


VALUES: dict[str, tuple[str, str, str]] = {
    # name: statement, what it says, what it says instead
    "unknown_key": ("job-spec", '"clients"', '"budget":1,"clients"'),
    "missing_key": ("job-spec", '"description":null,', ""),
    "null": ("job-spec", '"rows":0', '"rows":null'),
    "job_id_long": ("job-spec", identifier("job"), f"{identifier('job')}00"),
    "job_name_upper_case": ("job-spec", '"mean-age"', '"Mean-age"'),
    "kind_of_none": ("job-spec", '"kind":"shares"', '"kind":"train"'),
    "kind_of_a_service": ("job-spec", '"kind":"shares"', '"kind":"linear"'),
    "kind_of_no_service": ("service by shares", '"kind":"linear"', '"kind":"shares"'),
    "method_of_none": ("job-spec", '"method":"shares"', '"method":"trust"'),
    "method_paillier_of_shares": (
        "job-spec",
        '"method":"shares"',
        '"method":"paillier"',
    ),
    "receiver_nobody": ("job-spec", '"receiver":"clinic"', '"receiver":null'),
    "receiver_not_proposer": ("job-spec", '"receiver":"clinic"', '"receiver":"basel"'),
    "receiver_of_a_service": (
        "service by shares",
        '"receiver":null',
        '"receiver":"study"',
    ),
    "no_sealing_key": ("job-spec", f'"{jobs.public_key("clinic")}"', "null"),
    "sealing_key_of_a_service": (
        "service by shares",
        '"sealing_key":null',
        f'"sealing_key":"{SEALING_KEY}"',
    ),
    "sealing_key_short": ("job-query", SEALING_KEY, SEALING_KEY[:-2]),
    "clients_of_shares": ("job-spec", '"clients":[]', '"clients":["clinic"]'),
    "rows_of_shares": ("job-spec", '"rows":0', '"rows":5'),
    "no_clients": ("service by shares", '["clinic","practice","study"]', "[]"),
    "clients_twice": ("service by shares", '"practice"', '"clinic"'),
    "clients_order": ("service by shares", '"practice","study"', '"study","practice"'),
    "no_rows": ("service by shares", '"rows":1000', '"rows":0'),
    "rows_negative": ("service by shares", '"rows":1000', '"rows":-1'),
    "description_short": (
        "service by shares",
        jobs.DESCRIPTION_DIGEST,
        jobs.DESCRIPTION_DIGEST[:-1],
    ),
    "deadline_text": ("job-spec", "1800000000", '"1800000000"'),
    "program_of_none": ("job-spec", '"type":"circuit"', '"type":"script"'),
    "program_of_another": ("job-spec", '"type":"circuit"', '"type":"linear"'),
    "program_without_type": ("job-spec", ',"type":"circuit"', ""),
    "program_unknown_key": ("job-spec", '"outputs"', '"code":"x","outputs"'),
    "no_outputs": ("job-spec", '"outputs":["sum"]', '"outputs":[]'),
    "output_with_hyphen": ("job-spec", '"outputs":["sum"]', '"outputs":["s-um"]'),
    "output_with_digit_first": ("job-spec", '"outputs":["sum"]', '"outputs":["1m"]'),
    "operation_of_none": ("job-spec", '"op":"add"', '"op":"divide"'),
    "operation_of_nothing": ("job-spec", '"of":["b"]', '"of":[]'),
    "operation_of_three": ("job-spec", '"of":["b"]', '"of":["b","b","b"]'),
    "shift_back": ("job-spec", '"bits":4', '"bits":-4'),
    "shift_null": ("job-spec", '"bits":4', '"bits":null'),
    "shift_by_too_much": ("job-spec", '"bits":4', '"bits":63'),
    "result_name_slash": ("job-spec", '"result":"scaled"', '"result":"a/b"'),
    "result_name_dots": ("job-spec", '"result":"scaled"', '"result":".."'),
    "result_name_empty": ("job-spec", '"result":"scaled"', '"result":""'),
    "result_name_long": ("job-spec", '"result":"scaled"', f'"result":"{"a" * 65}"'),
    "input_without_rows": ("job-spec", '"rows":1,', '"rows":0,'),
    "input_of_too_many_rows": ("job-spec", '"rows":1,', f'"rows":{2**24 + 1},'),
    "input_of_negative_columns": ("job-spec", '"columns":1,', '"columns":-1,'),
    "fraction_bits_negative": (
        "job-spec",
        '"fraction_bits":4,',
        '"fraction_bits":-1,',
    ),
    "fraction_bits_49": ("job-spec", '"fraction_bits":4,', '"fraction_bits":49,'),
    "secret_number": ("job-spec", '"secret":false', '"secret":0'),
    "bound_zero": ("service by shares", '"bound":8', '"bound":0'),
    "bound_with_point": ("service by shares", '"bound":8', '"bound":8.0'),
    "bias_bound_negative": (
        "service by shares",
        '"bias_bound":0.5',
        '"bias_bound":-0.5',
    ),
    "bound_infinite": ("service by shares", '"bound":8', '"bound":Infinity'),
    "bound_negative": ("service by shares", '"bound":8', '"bound":-8'),
    "no_features": ("service by shares", '"features":4', '"features":0'),
    "grant_head": ("job-grant", '"entries":0', '"entries":-1'),
    "start_with_no_grants": ("job-start", '"grants":{', '"grants":{},"more":{'),
    "channel_key_short": ("job-channel", CHANNEL_KEY, CHANNEL_KEY[:-4]),
    "channel_key_long": ("job-channel", CHANNEL_KEY, f"{CHANNEL_KEY}AAAA"),
    "channel_key_padded": ("job-channel", CHANNEL_KEY, f"{CHANNEL_KEY}="),
    "input_of_ciphertexts": ("job-input", '"vector"', '"ciphertexts"'),
    "input_of_none": ("job-input", '"vector"', '"share"'),
    "input_name_dots": ("job-input", '"name":"b"', '"name":".."'),
    "input_length_zero": ("job-input", '"length":1232', '"length":0'),
    "public_without_words": ("public input", f'"{PLAIN}"', "null"),
    "secret_with_words": ("job-input", '"plain":null', f'"plain":"{PLAIN}"'),
    "query_of_public_rows": ("job-query", '"vector"', '"public"'),
    "query_zero": ("job-query", '"query":7', '"query":0'),
    "query_without_rows": ("job-query", '"rows":3', '"rows":0'),
    "key_bits_of_shares": ("job-query", '"key_bits":null', '"key_bits":3072'),
    "ciphertexts_without_key": ("query of ciphertexts", "3072", "null"),
    "key_bits_2047": ("query of ciphertexts", '"key_bits":3072', '"key_bits":2047'),
    "key_bits_4097": ("query of ciphertexts", '"key_bits":3072', '"key_bits":4097'),
    "output_inputs_short": (
        "job-output",
        jobs.inputs_digest(jobs.WENT_IN),
        jobs.inputs_digest(jobs.WENT_IN)[:-1],
    ),
    "output_query_negative": ("job-output", '"query":0', '"query":-1'),
    "reason_empty": ("job-void", "basel brings nothing", ""),
    "reason_steers_a_terminal": ("job-void", "basel brings", "\\u001b[2J"),
}


def bad_payloads() -> list[Content]:
    """Statements, rightly signed, that say nonsense."""
    cases = []
    for name, (statement, old, new) in VALUES.items():
        typ, signer, content = STATEMENTS[statement]
        text = canonical(content).decode("ascii")
        if text.count(old) != 1:
            message = f"{name}: {old} stands {text.count(old)} times in {statement}"
            raise ValueError(message)
        payload = text.replace(old, new).encode("utf-8")
        token = sign(header(typ, signer), payload, signer)
        cases.append({"name": name, "code": "FS-701", "typ": typ, "token": token})
    return cases


def bad_grants() -> list[Content]:
    """Starts of other than two grants."""
    typ, signer, content = STATEMENTS["job-start"]
    tokens = list(content["grants"].values())
    grants = {
        "start_with_one_grant": {"north": tokens[0]},
        "start_with_three_grants": {**content["grants"], "west": tokens[0]},
    }
    return [
        {
            "name": name,
            "code": "FS-701",
            "typ": typ,
            "token": jobs.signed(typ, signer, {**content, "grants": given}),
        }
        for name, given in grants.items()
    ]


def bad_signers() -> list[Content]:
    """Statements of parties that may not say such a thing, or not in another's name."""
    cases = []
    for name in MAY_SIGN:
        typ, signer, content = STATEMENTS[name]
        field = AUTHOR_FIELD.get(typ)
        strangers = {OWNER, "south", "bern", "clinic"} - {*MAY_SIGN[name]}
        for other in sorted(strangers):
            own = {**content, **({field: other} if field else {})}
            token = jobs.signed(typ, other, own)
            cases.append((f"{typ}_of_{other}", "FS-703", typ, token))
        other = "south" if signer == "north" else "bern"
        if field:
            token = jobs.signed(typ, other, content)
            cases.append((f"{typ}_in_the_name_of_{signer}", "FS-706", typ, token))
        elsewhere = {**content, "federation": digest("another federation")}
        token = jobs.signed(typ, signer, elsewhere)
        cases.append((f"{typ}_of_another_federation", "FS-705", typ, token))
    keys = ("name", "code", "typ", "token")
    return [dict(zip(keys, one, strict=True)) for one in cases]


def bad_statement_cases() -> list[Content]:
    """Tokens that must be refused, with the code of the refusal."""
    cases = [*bad_signers(), *bad_payloads(), *bad_grants()]
    return [{**case, "name": f"bad_job_{case['name']}"} for case in cases]


FILES: dict[str, Callable[[], list[Content]]] = {
    "job_statements.json": statement_cases,
    "bad_job_statements.json": bad_statement_cases,
}


if __name__ == "__main__":
    write_or_compare(FILES, Path(__file__).name)
