"""The data owner's end of a round, without a framework: accept, contribute, settle.

    contribution  checks an offer, shards and seals an update, sends both reports
    grants        what both aggregators agreed to, each with noise of its own
    outbox        what was sealed and not delivered, and whether it is whole
    settlement    what became of a report, by both aggregators' word

Clock, randomness, storage and network come in from outside; agents bring them.
"""
