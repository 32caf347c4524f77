"""A data owner's rows: read, checked by a study's schema, split."""
