"""How a party comes into a federation: keys, identity files, signed versions, pins.

    every party    `keygen`     makes its keys and a public identity file to hand over
    model owner    `issuing`    collects identity files into a signed federation.toml
    every party    `joining`    checks a version, asks for fingerprints, accepts it
    every party    `accepted`   at each start: is this the version that was accepted?

Nothing here connects to anybody: the files are handed over by people.
"""
