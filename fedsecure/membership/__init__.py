"""How a party comes into a federation: keys, identity files, signed versions, pins.

    keygen           every party makes its keys and an identity file to hand over
    identity_file    that file, signed with its own key
    starting_config  the configuration that a party starts with
    own_tls          a certificate, where an organisation brings none
    issuing          the model owner collects identity files into signed versions
    handout          what it hands to everybody
    changes          what a version changes, for who is to accept it
    joining          every party checks a version, asks for fingerprints, accepts
    accepted         at each start: is this the version that was accepted?
    versions         every version that was ever accepted
    own_party        whose folder this is
    client_settings  what a client and a dealer say of themselves
    jobs_policy      what a party allows to be made of numbers that it shares
    detached         signatures that stand beside a readable file
    files            files that are there whole, as they were or are to be

Nothing here connects to anybody: the files are handed over by people.
"""
