"""From a connection to a request: limits, bodies, routes, problem documents.

connection      what uvicorn makes for each; `body_stream` takes bodies off the wire
admission       who may come in, how often (`rate_limit`)
app             the application; `routes` its handlers, `problems` their refusals
request_body    a body read with bounds; `intake` streams a report into the spool
under_way       how many uploads of one party there may be at a time
worker          the one thread that changes anything
background      what is done now and then
jobs            requests about jobs
readiness       whether rounds can be granted; `prometheus`; `cached_answers` of both
"""
