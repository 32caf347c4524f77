"""The agent: one process that joins the SuperLink and answers tasks.

    config    agent.toml: what a data owner decides
    assembly  an agent put together, everything checked
    loop      join, answer, never tell more than receipts
    settling  what became of the rounds that were answered
    delivery  reports of an earlier process that got no receipt
    watchdog  ends a training that does not end
    waiting   one line in the log when a server is away or back
    receipts  was every report counted, or is its round void?
    doctor    what a data owner's `fedsecure doctor` looks at

What goes wrong is in this data owner's own log and goes nowhere else.
"""
