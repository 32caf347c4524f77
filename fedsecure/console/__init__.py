"""Pages in the browser over what a party's own store holds.

    guard      what every request must satisfy, and the headers of every answer
    sessions   the one-time link, and who is signed in
    forms      what people send: small, from this console alone
    watching   whether there is something new: server-sent events
    auditing   an audit that is begun by a click
    rendering  templates; everything in them is escaped
    paging     a part of what is long, and the way to the next
    shell      what a console is made of;  common: the pages that each one has
    app        the application that these make;  start, server: run it
    owner      the model owner's pages; an aggregator's lie in its own package

A console reads its party's own store, and asks nobody. Nothing in it writes but the
model owner's verdict. There is no build step: pages are made here, and work without
scripts, but for renewing themselves.
"""
