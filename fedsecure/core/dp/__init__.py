"""Differential privacy: how much noise, where it is drawn from, and what it costs.

    sensitivity   how far one unit moves a sum, and the noise for it
    sampler       discrete Gaussian draws from a key stream
    accountant    what openings cost together, and what epsilon that means

Beside this package `gaussian_release` adds one aggregator's noise to its sum, and
`noisy_scalars` has the scalars of a round with noise.
"""
