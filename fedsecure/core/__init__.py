"""Pure arithmetic and bytes of the protocol: no clock, network, file or framework.

    scheme           shard, prepare, aggregate, unshard: the protocol on one page
    shares           what goes from stage to stage
    params           what a round's parties agree on, and why its sum cannot wrap
    fixed_point      the finest scale with which no sum, and no noise, can wrap
    integers         numbers that a round is described by
    modulus          the rings that shares are added in
    encoding         clip and fixed point: an update to integers, and sums back
    scalars          the same for counts and metrics
    noisy_scalars    the same in a round with noise
    mask             the key stream that one input share is expanded from
    layout           where the numbers of a round lie in bytes
    release          what an aggregator lets go of a sum
    gaussian_release the sum and its noise
    dp               how much noise, where it is drawn from, and what it costs
    mpc              two servers compute on shares of anything
    homomorphic      Paillier: numbers that stay encrypted while servers compute
    sealing          sealed payloads: who alone can read a share
    buffers          working memory
    domains          every label of the protocol's cryptography

Randomness is an argument, and nothing secret is printed.
"""
