"""What people see on a terminal, the same at every party.

    screen          the one way of the programs there
    text_tables      tables that people can read at any width
    values           text, numbers, bytes, instants, digests, states
    problem          an error of ours: what happened, where, what to type
    listening        the options of whoever opens a console in the browser
    install_service  the unit of a server or an agent, and what comes next

Whatever another party wrote is printed as text and steers nothing.
"""
