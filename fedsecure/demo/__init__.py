"""The demo: a whole federation on one machine, by the users' own commands."""
