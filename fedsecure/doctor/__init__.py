"""What could keep a party from working, and what to type about it.

    findings      a check, and what it found
    own_machine   this party's own files and machine
    server_probe  one request to another party's server
    servers       what is checked of it
    tls           a server's own TLS files
    client        all of it that a client looks at
    dealer        and a dealer

The checks of other roles are in that role's package; all are found by the entry-point
group `fedsecure.doctors`.
"""
