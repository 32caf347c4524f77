"""Which proxy an outgoing connection takes, and who says so.

httpx reads the same variables; this module finds the one by which it goes, for logs
and for people.
"""

import os
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

VARIABLES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
"""In the order in which they count."""


def proxy_variable(host: str) -> str | None:
    """Return the variable that names the proxy on the way to a host, if there is one.

    Args:
        host: As in a URL, with or without a port.
    """
    if proxy_bypass(host):
        return None
    return next((name for name in VARIABLES if os.environ.get(name)), None)


def way_to(host: str) -> str:
    """Say for a person how a host is reached; without the proxy's password."""
    variable = proxy_variable(host)
    if variable is None:
        return "directly"
    proxy = urlsplit(os.environ[variable])
    return f"through {variable} ({proxy.hostname}:{proxy.port})"
