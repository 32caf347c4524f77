"""Calls to a SuperLink: what is tried again, and how a failure reads."""

import ssl
import threading

import httpx
import pytest
from flwr.supercore.error import ApiErrorCode

from fedsecure.errors import PeerError
from fedsecure.frameworks.flower.runtime.calls import (
    Caller,
    Peer,
    Pulse,
    explain,
    trust_authorities,
)


def answer(status: int, **content: object) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "https://host:1/")
    response = httpx.Response(status, json=content, request=request)
    return httpx.HTTPStatusError("refused", request=request, response=response)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            answer(412, code=ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED, detail="No."),
            "FS-503",
        ),
        (answer(401, detail="Invalid SuperNode authentication"), "FS-503"),
        (
            answer(403, code=ApiErrorCode.FLEET_RUN_STATUS_NOT_ALLOWED, detail="No."),
            "FS-506",
        ),
        (
            answer(412, code=ApiErrorCode.RUNTIME_VERSION_INCOMPATIBLE, detail="1.42"),
            "FS-509",
        ),
        (answer(503), "FS-501"),
        (answer(500), "FS-505"),
        (httpx.ConnectError("refused"), "FS-501"),
        (httpx.ReadTimeout(""), "FS-501"),
        (ValueError("Invalid protobuf response payload"), "FS-507"),
    ],
)
def test_every_failure_has_its_code_and_names_the_address(error, code):
    failure = explain("host:1", error)
    assert failure.code == code
    assert failure.detail.startswith("host:1: ")
    assert len(failure.detail) > len("host:1: ")


def test_a_connection_cut_during_the_handshake_may_pass():
    error = httpx.ConnectError("cut")
    error.__cause__ = ssl.SSLEOFError(8, "EOF occurred in violation of protocol")
    assert explain("host:1", error).code == "FS-501"


def test_what_the_other_side_says_stays_short_and_on_one_line():
    response = answer(412, code=1, detail="first\nFS-000 second\n" * 1000)
    detail = explain("host:1", response).detail
    assert len(detail) < 250
    assert "\n" not in detail


@pytest.mark.parametrize(
    ("address", "proxied"),
    [("127.0.0.1:1", False), ("[::1]:1", False), ("localhost:1", False), ("h:1", True)],
)
def test_a_proxy_is_never_used_towards_this_machine(monkeypatch, tls, address, proxied):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    trust = trust_authorities(tls.ca.read_bytes())
    with Peer(address, trust).http() as client:
        assert client.trust_env is proxied
    with Peer(address, trust, direct=True).http() as client:
        assert not client.trust_env


def test_a_call_is_tried_again_until_patience_ends():
    tries = []

    def fail(request):
        tries.append(request)
        raise httpx.ConnectError("connection refused")

    with pytest.raises(PeerError) as caught:
        Caller("host:1", patience=0.35)(fail, "request")
    assert caught.value.code == "FS-501"
    assert len(tries) > 1


def test_a_pulse_makes_up_for_a_lost_beat_and_ends_with_a_refusal():
    beats = iter([httpx.ReadTimeout("late"), answer(503), True, False])

    def beat():
        match next(beats):
            case Exception() as error:
                raise error
            case known:
                return known

    pulse = Pulse(beat, interval=0.01)
    pulse.start()
    pulse._thread.join(10)
    assert pulse.lost
    assert next(beats, "none left") == "none left"
    pulse.stop()


def test_a_pulse_that_is_refused_is_lost():
    def refuse():
        raise answer(401)

    pulse = Pulse(refuse, interval=0.01)
    pulse.start()
    pulse._thread.join(10)
    assert pulse.lost


def test_a_pulse_outlives_whatever_its_beat_raises():
    errors = [OSError(24, "Too many open files"), RuntimeError("broken"), KeyError("x")]
    beaten = threading.Event()

    def beat():
        if errors:
            raise errors.pop()
        beaten.set()
        return True

    pulse = Pulse(beat, interval=0.01)
    pulse.start()
    assert beaten.wait(10)
    assert not pulse.lost
    pulse.stop()
