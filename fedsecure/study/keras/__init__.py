"""Keras models as data: which parts may travel, and whether nothing was lost.

    allowlist     which parts of Keras a model may be made of
    architecture  a model as data, and back
    building      the model owner's model, built from the study's model.py
    fidelity      whether what was built is what was meant
    single_rows   which models treat each row by itself
    statistics    weights that no optimizer trains
    tensorflow    importing it without its start-up messages

An agent builds a model from its data; code of a study runs at the model owner alone.
"""
