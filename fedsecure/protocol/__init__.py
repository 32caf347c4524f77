"""What parties sign and agree on. docs/protocol.md is its specification.

    identity             who takes part: `federation.toml`
    federation_versions  the same in all versions that a party knows
    fingerprints         a key in digits and words, to be read out
    signing_keys         Ed25519 keys in files
    node_keys            the keys with which agents join Flower's SuperLink
    statements           what can be signed, as strict data
    statement_parts      what statements are made of beside plain fields
    statement_fields     the types and limits of what a statement holds
    signing              signatures over statements, and the steps of a check
    stored_statements    statements of the own store, read without a check
    grants               both aggregators' consent to one spec
    jobs                 statements and programs of computations beside rounds
    parameters           a round's spec as the core's parameters
    ledger               the chain of signed events that every store keeps
    framing              a header and a payload as one body
    encodings            bytes as text, with one spelling each

Nothing here acts on a statement: the two ends of a round and the aggregators do.
"""
