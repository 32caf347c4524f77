"""From a connection to a request: limits, bodies, routes, problem documents."""
