"""Which variable leads through a proxy; httpx itself is asked, too."""

import httpx
import pytest

from fedsecure.transport.proxies import VARIABLES, proxy_variable, way_to

PROXY = "http://user:secret@proxy.test:3128"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def goes_through_a_proxy(host: str) -> bool:
    """Ask httpx which of its transports it would take."""
    with httpx.Client() as client:
        return client._transport_for_url(httpx.URL(f"https://{host}")) is not (
            client._transport
        )


@pytest.mark.parametrize("name", VARIABLES)
def test_the_variable_is_named_and_httpx_goes_by_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert proxy_variable("north.test") is None
    assert way_to("north.test") == "directly"
    assert not goes_through_a_proxy("north.test")
    monkeypatch.setenv(name, PROXY)
    assert proxy_variable("north.test") == name
    assert way_to("north.test") == f"through {name} (proxy.test:3128)"
    assert goes_through_a_proxy("north.test")


def test_the_first_of_several_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(VARIABLES):
        monkeypatch.setenv(name, f"http://proxy-{number}.test:3128")
    assert way_to("north.test") == "through https_proxy (proxy-0.test:3128)"


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("excepted", ["north.test", "test", "*"])
def test_an_exception_leads_past_the_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str, excepted: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv(name, excepted)
    assert proxy_variable("north.test") is None
    assert not goes_through_a_proxy("north.test")


def test_a_proxys_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert "secret" not in way_to("north.test")
