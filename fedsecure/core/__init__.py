"""Pure arithmetic and bytes of the protocol: no clock, network, file or framework.

    scheme       shard, prepare, aggregate, unshard: the protocol on one page
    shares       what goes from stage to stage
    params       what a round's parties agree on, and why its sum cannot wrap
    fixed_point  the finest scale with which no sum can wrap; a round's noise
    modulus      the rings that shares are added in
    encoding     clip and fixed point: an update to integers, and sums back
    scalars      the same for counts and metrics
    mask         the key stream that one input share is expanded from
    layout       where the numbers of a round lie in bytes
    release      what an aggregator lets go of a sum (`release_context`: for which set)
    noise        discrete Gaussian noise from a key stream
    privacy      what openings cost, and which epsilon that is
    sealing      sealed payloads: who alone can read a share
    buffers      working memory
    domains      every label of the protocol's cryptography

Randomness is an argument, and nothing secret is printed.
"""
