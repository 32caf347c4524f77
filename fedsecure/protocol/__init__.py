"""What parties sign and agree on: statements, identities, the ledger's chain."""
