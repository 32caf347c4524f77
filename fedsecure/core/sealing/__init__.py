"""Sealed payloads: bytes that one receiver alone can read, for one purpose alone.

    seal            seals and opens a payload, record by record
    seal_info       what a payload is bound to
    sealing_key     a receiver's key pair of one round, and content keys sealed to it
    payload_digest  a payload's length and digest, for those without a key
    payload_reader  where the parts of a payload come from

It works on streams: a few buffers of memory, whatever the payload's size.
"""
