"""For who runs the server: start, health, backups, doctor, audit, commands."""
