"""The curves of a run as a picture.

    curves  what there is to draw: points, bars and marks
    panels  each part of the picture, on axes of its own
    figure  the whole, for screens and documents

    histograms  how one column spreads, from a round of statistics

Needs matplotlib, which no other room does.
"""
