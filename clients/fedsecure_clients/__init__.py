"""The data owner's agent: one process that trains, shares and reports."""
