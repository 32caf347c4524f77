"""The commands that a data owner types, below `fedsecure agent`; and a client's.

    agent            the group, and the agent itself
    data             looks at the own data before joining
    consent          review, approve, refuse: a person decides about studies
    status           what was sent, what was counted, what was not
    install_service  a systemd unit
    predict          `fedsecure predict`: ask a service about the rows of a table

They are found by the entry-point group `fedsecure.commands`.
"""
