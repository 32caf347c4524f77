"""What could keep a party from working, and what to type about it.

`findings` is what a check says. `own` looks at this machine, `servers` at others. The
checks of one role alone are in that role's package, found by the entry-point group
`fedsecure.doctors`.
"""
