"""Read the statements that lie in the own store, without checking signatures.

They were checked before they were stored. An audit checks them again, with the
federation's keys (`signing.verify`); a message from outside must never come here.
"""

import json
from typing import TypeVar

from pydantic import ValidationError

from fedsecure.errors import PeerError
from fedsecure.protocol.signing import Signed, digest_of, parts_of
from fedsecure.protocol.statements import Statement
from fedsecure.system.toml_file import explain

S = TypeVar("S", bound=Statement)


def stored(token: str, kind: type[S]) -> Signed[S]:
    """Return what a stored token says, and whom it names as its signer.

    Raises:
        PeerError: FS-701 when it is no such statement: the store was changed.
    """
    try:
        header, payload, _ = parts_of(token)
        signer = json.loads(header)["kid"]
        statement = kind.model_validate_json(payload)
    except ValidationError as error:
        raise PeerError("FS-701", f"stored {kind.typ}: {explain(error)}") from error
    except (PeerError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise PeerError("FS-701", f"stored {kind.typ} is no statement") from error
    return Signed(statement, str(signer), token, digest_of(token))
