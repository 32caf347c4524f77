"""Pure arithmetic and bytes of the protocol: no clock, network, file or framework.

modulus   the rings that shares are added in
params    what a round's parties agree on, and why its sum cannot wrap
encoding  clip and fixed point: float32 updates to integers, and sums back
mask      the key stream that one input share is expanded from
scheme    shard, prepare, aggregate, unshard
seal      sealed payloads: who alone can read a share
domains   every label of the protocol's cryptography
"""
