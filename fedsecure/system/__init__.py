"""What a program asks of its machine.

    toml_file      a party's TOML file into a strict model
    wording        what is wrong with a value, for people who write files
    private_files  files that one user alone can read
    durability     what outlasts a power cut
    lifeline       how processes end: with their parent, in good order
    systemd        a unit for a program that runs for good
    crash_points   where tests let a process die

Linux; no network and no database.
"""
