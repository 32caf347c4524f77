"""The demo: a whole federation on one machine, by the users' own commands.

    play       the demo from start to end
    provision  every party's folder, keys and settings
    processes  the commands, started and always stopped
    child      one of them, tied to the demo's life
    sights     what each party saw, from its own records
    outcome    the run's figures, and whether it was worth it

It has no way of its own into a federation: what it starts, people type.
"""
