"""What people see on a terminal: one console, tables that fit, shared options."""
