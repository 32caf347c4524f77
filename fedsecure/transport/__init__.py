"""Bytes between parties: both ends of an HTTP connection, bounded.

    server_connection   requests to one aggregator, repeated, and what it answers
    aggregator_client   one aggregator's rounds, for the model owner and data owners
    job_server          one aggregator's jobs, for whoever takes part
    retries             when to ask a server again
    response_limits     how much a client reads, and of whom
    proxies             which way an outgoing connection takes
    certificates        X.509 for TLS: an authority of one's own
    bounded_connection  a server's one connection: sizes, times, threads
    connection_limits   how many connections a server holds, and which gives way
    held_bodies         bodies in memory until their signer is known

What comes back from an aggregator is verified here before anybody acts on it.
"""
