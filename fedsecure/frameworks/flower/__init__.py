"""Flower at both ends.

    mod                 the agent's: takes the update out of a reply and shares it
    wire                what travels inside Flower's messages
    fleet               the run loop's participants, on a SuperLink
    wrapped             the run loop's strategy, over one of Flower's
    linear              which of Flower's strategies work on sums
    framework           a SuperLink and a strategy for a job
    secure_aggregation  the whole as a Flower strategy
    doctor              what the model owner's `fedsecure doctor` looks at
    runtime             all that touches Flower's internals

Only `runtime` imports what is not Flower's public part.
"""
