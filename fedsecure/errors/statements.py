"""7xx, statements and identities: what is signed, sealed and shared, and by whom."""

from http import HTTPStatus
from typing import Final

from fedsecure.errors.problem import Family, Finality, Problem

FAMILIES: Final = (
    Family(
        719,
        "Signed statements",
        "A signed message is refused: by an aggregator, which answers with the code, "
        "by an agent, by the model owner, or by an audit.",
        answered=True,
    ),
    Family(
        729,
        "Shares and seals",
        "A share or its sealing is wrong. The model owner meets it when it opens a "
        "round; an aggregator answers FS-722 to a spec with a malformed key, and "
        "FS-314 to a report.",
    ),
    Family(
        739,
        "Inputs and answers of jobs",
        "What was given to a job, or came out of it, cannot be used. Who gave it sees "
        "the code of the aggregator, the receiver its own.",
        answered=True,
    ),
    Family(
        799,
        "Identities and keys",
        "A name or a key does not belong here. The party whose files they are sees it "
        "when it starts; an aggregator answers FS-741 to a stranger.",
    ),
)

PROBLEMS: Final = (
    Problem(
        "FS-701",
        "A message is not well formed",
        "The sender runs another version or is broken; compare `fedsecure "
        "--version` on both sides.",
    ),
    Problem(
        "FS-702",
        "A signed message has the wrong type",
        "The sender runs another version or is broken; compare `fedsecure "
        "--version` on both sides.",
    ),
    Problem(
        "FS-703",
        "This party may not say that",
        "Check the roles in federation.toml with the party that is named.",
        HTTPStatus.FORBIDDEN,
    ),
    Problem(
        "FS-704",
        "A signature is wrong",
        "The sender's key is not the one in federation.toml; compare "
        "fingerprints with the party that is named.",
        HTTPStatus.FORBIDDEN,
    ),
    Problem(
        "FS-705",
        "The other side has another federation.toml",
        "Compare the digests; copy the agreed file to the party whose file "
        "differs and restart it. A ledger is checked with the file under which it "
        "was written.",
        HTTPStatus.CONFLICT,
    ),
    Problem(
        "FS-706",
        "A message was signed by somebody else than its author",
        "Tell the party that is named: somebody speaks in its name.",
        HTTPStatus.FORBIDDEN,
    ),
    Problem(
        "FS-720",
        "A sealed payload does not open",
        "It was changed on the way, or sealed for another round or receiver; the "
        "sender must send the stored bytes again.",
        final=Finality.SHARES,
    ),
    Problem(
        "FS-721",
        "A sealed payload has the wrong length",
        "It was cut or extended on the way; the sender must send the stored "
        "bytes again.",
        final=Finality.SHARES,
    ),
    Problem(
        "FS-722",
        "A sealing key is malformed",
        "The party whose key it is must make another one: void the round and "
        "propose it again.",
        answered=True,
    ),
    Problem(
        "FS-723",
        "A share has the wrong size",
        "The sender runs another version or is broken; compare `fedsecure "
        "--version` on both sides.",
        final=Finality.SHARES,
    ),
    Problem(
        "FS-724",
        "The aggregate shares do not hold the same number of reports",
        "One aggregator is wrong: ask both to compare what v_opening of their "
        "stores says about the round; it cannot be used.",
        final=Finality.SHARES,
    ),
    Problem(
        "FS-725",
        "The opened sum is impossible",
        "One aggregator added wrongly, or a data owner sent a bad share; it cannot "
        "be told who. The round or the job cannot be used: propose the next one.",
        final=Finality.SHARES,
    ),
    Problem(
        "FS-726",
        "A report's identifiers are malformed",
        "The sender runs another version or is broken; compare `fedsecure "
        "--version` on both sides.",
    ),
    Problem(
        "FS-730",
        "An input of a job does not open, or has the wrong size",
        "It was changed on the way, or its sender runs another version; compare "
        "`fedsecure --version` on both sides, and give the input again.",
    ),
    Problem(
        "FS-731",
        "A ciphertext is none, or of another key",
        "It was changed on the way, or its sender runs another version; compare "
        "`fedsecure --version` on both sides, and ask again.",
    ),
    Problem(
        "FS-732",
        "A channel key does not open, or is not for this peer",
        "Propose the job anew; if it happens again, ask the aggregator that is named.",
    ),
    Problem(
        "FS-741",
        "Unknown party",
        "Check the name; if it is right, this party's federation.toml is old.",
        HTTPStatus.FORBIDDEN,
        own_key=True,
        answered=True,
    ),
    Problem(
        "FS-743",
        "A private file cannot be created",
        "Move the old file away first if you mean to replace it; nothing was "
        "overwritten.",
    ),
    Problem(
        "FS-744",
        "A private file can be read by others",
        "Type `chmod 600` and the path, then consider whether the key must be "
        "replaced.",
        own_key=True,
    ),
    Problem(
        "FS-745",
        "Not a signing key",
        "Name the Ed25519 key (PEM, PKCS #8, unencrypted) of this party.",
        own_key=True,
    ),
    Problem(
        "FS-746",
        "The private key does not belong to this party",
        "Name the key whose public half stands in federation.toml, or hand in "
        "the new public key.",
        own_key=True,
    ),
    Problem(
        "FS-747",
        "An identity file is not as its party signed it",
        "Ask the party for its file again; if it arrives like this a second "
        "time, somebody changes it on the way.",
    ),
    Problem(
        "FS-748",
        "There is something already where new files would go",
        "Name another folder with --folder, or move the file that is named "
        "away; nothing was overwritten.",
    ),
    Problem(
        "FS-749",
        "The federation file is not signed by its model owner",
        "Ask the model owner for federation.toml and federation.jws again, and "
        "take both from the same version.",
    ),
    Problem(
        "FS-750",
        "The CA file is not the one that the model owner signed",
        "Take authorities.pem from the same version as federation.toml, and "
        "type `fedsecure join` with that federation.toml.",
    ),
    Problem(
        "FS-751",
        "This version does not follow the one that was accepted",
        "Ask the model owner for the newest version. If it is another "
        "federation, use a new folder with new keys.",
    ),
    Problem(
        "FS-752",
        "The federation is not the version that was accepted here",
        "If the model owner handed over a new version, type `fedsecure join` "
        "and its federation.toml; if not, somebody changed the file: ask who.",
    ),
    Problem(
        "FS-753",
        "No federation was accepted here yet",
        "Type `fedsecure join` and the federation.toml that the model owner "
        "handed over.",
    ),
    Problem(
        "FS-754",
        "A fingerprint is not the one that was read out",
        "Call the party that is named, at a number that you know, and let it "
        "read its words again. If they differ still, the file holds another "
        "key: do not join, and tell the others.",
    ),
    Problem(
        "FS-755",
        "Fingerprints are missing",
        "Type them when you are asked, or give one --fingerprint NAME=WORDS for "
        "each party that is named.",
    ),
    Problem(
        "FS-756",
        "These identities make no federation",
        "A federation has one model owner, two aggregators, data owners, and "
        "perhaps clients and one dealer, "
        "each with a name and a key of its own; all servers hand over a CA "
        "certificate (`fedsecure keygen --tls-host` or `--authority`), or none "
        "does.",
    ),
    Problem(
        "FS-757",
        "No such party in the federation",
        "Check the name; a new party comes in with `fedsecure federation add`.",
    ),
    Problem(
        "FS-758",
        "The version was not accepted",
        "Nothing was changed here; the version accepted before stays in force.",
    ),
    Problem(
        "FS-759",
        "This party is somebody else in the federation",
        "Ask the model owner to take your newest identity file: `fedsecure "
        "federation rotate`.",
    ),
    Problem(
        "FS-760",
        "A kept version of the federation was changed",
        "Each file in federation-versions is named as the digest of its content. "
        "Take this one anew from any party that accepted it.",
    ),
    Problem(
        "FS-761",
        "A name stands for somebody else than before",
        "Openings and approvals know data owners by their names, so the name of "
        "one that was retired is not given to another: choose a new name.",
    ),
    Problem(
        "FS-762",
        "Others take part than when the study was approved here",
        "Data owner: `fedsecure agent review STUDY` shows who came in since; "
        "`fedsecure agent approve STUDY` approves it for them, too. It is asked "
        'because agent.toml, section [policy], says roster = "approved".',
        HTTPStatus.FORBIDDEN,
        consent=True,
    ),
)
