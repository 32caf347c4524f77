"""Keras models as data: which parts may travel, and whether nothing was lost."""
