"""Configuration: documented defaults, and values that make no sense refused by name."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from kiwoom_proto import ClientConfig, LocalProtocolError
from kiwoom_proto.config import ServerConfig
from kiwoom_proto.hours import MarketHours

DEFAULTS = {
    "open_timeout": 10,
    "login_timeout": 10,
    "ack_timeout": 5,
    "idle_timeout": 30,
    "close_timeout": 5,
    "max_message_size": 4 * 1024 * 1024,
    "request_interval": 0.35,
    "items_per_request": 100,
    "item_limit": None,
    "buffer_bytes": 268_435_456,
    "buffer_size": 65_536,
    "overflow": "raise",
    "token_timeout": 10,
    "reconnect": True,
    "connect_timeout": 30,
    "backoff_min": 1,
    "backoff_max": 60,
    "takeover": "stop",
    "takeover_wait": 300,
    "takeover_limit": 3,
    "move_after": 10,
    "recover": False,
}
MUST_BE_POSITIVE = sorted(DEFAULTS.keys() - {"request_interval", "overflow", "reconnect", "takeover", "recover"})
COUNTS = (
    "max_message_size",
    "items_per_request",
    "item_limit",
    "buffer_size",
    "buffer_bytes",
    "takeover_limit",
)


def test_the_client_s_defaults() -> None:
    assert attrs.asdict(ClientConfig(), recurse=False) == {**DEFAULTS, "hours": MarketHours()}


def test_the_server_s_defaults() -> None:
    defaults = {name: DEFAULTS[name] for name in attrs.fields_dict(ServerConfig)}
    assert attrs.asdict(ServerConfig()) == {**defaults, "max_message_size": 65_536}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in MUST_BE_POSITIVE
        for value in (0, -1, -0.5, math.nan, True, None, "5", "", [5])
        if (name, value) != ("item_limit", None)  # None: the endpoint's
    ],
)
def test_what_must_be_above_zero_says_so_by_name(name: str, value: Any) -> None:
    options: dict[str, Any] = {name: value}

    with pytest.raises(LocalProtocolError) as caught:
        ClientConfig(**options)

    number = "whole number" if name in COUNTS else "number"
    assert str(caught.value) == f"ClientConfig.{name}: must be a {number} above 0, not {value!r}"


@pytest.mark.parametrize("value", [-0.1, math.nan, False, None, "1"])
def test_the_request_interval_may_be_zero_but_not_less(value: Any) -> None:
    assert ClientConfig(request_interval=0).request_interval == 0

    with pytest.raises(LocalProtocolError) as caught:
        ClientConfig(request_interval=value)
    assert str(caught.value) == f"ClientConfig.request_interval: must be a number of at least 0, not {value!r}"


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0.5, 1.5, math.inf])
def test_a_count_or_size_must_be_a_whole_number(name: str, value: Any) -> None:
    options: dict[str, Any] = {name: value}

    with pytest.raises(
        LocalProtocolError, match=rf"^ClientConfig\.{name}: must be a whole number above 0, not {value}$"
    ):
        ClientConfig(**options)


@pytest.mark.parametrize("policy", ["raise", "drop_oldest", "conflate"])
def test_every_documented_overflow_policy_is_taken(policy: Any) -> None:
    assert ClientConfig(overflow=policy).overflow == policy


@pytest.mark.parametrize("policy", ["", "RAISE", "drop_newest", None, ["raise"]])
def test_another_overflow_policy_is_refused_and_the_choice_is_named(policy: Any) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        ClientConfig(overflow=policy)

    assert str(caught.value) == (f"ClientConfig.overflow: must be one of raise, drop_oldest, conflate, not {policy!r}")


@pytest.mark.parametrize("policy", ["stop", "wait", "reconnect"])
def test_every_documented_takeover_policy_is_taken(policy: Any) -> None:
    assert ClientConfig(takeover=policy).takeover == policy


@pytest.mark.parametrize("policy", ["", "STOP", "fight", None, True, ["stop"]])
def test_another_takeover_policy_is_refused_and_the_choice_is_named(policy: Any) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        ClientConfig(takeover=policy)

    assert str(caught.value) == f"ClientConfig.takeover: must be one of stop, wait, reconnect, not {policy!r}"


@pytest.mark.parametrize("value", [0, 1, None, "yes", "False"])
def test_whether_to_reconnect_is_yes_or_no(value: Any) -> None:
    assert ClientConfig(reconnect=False).reconnect is False

    with pytest.raises(LocalProtocolError) as caught:
        ClientConfig(reconnect=value)
    assert str(caught.value) == f"ClientConfig.reconnect: must be True or False, not {value!r}"


def test_the_longest_wait_is_not_below_the_shortest() -> None:
    assert ClientConfig(backoff_min=5, backoff_max=5).backoff_max == 5

    with pytest.raises(LocalProtocolError) as caught:
        ClientConfig(backoff_min=5.5, backoff_max=5)
    assert str(caught.value) == "ClientConfig.backoff_max: must not be below backoff_min, 5.5"
    with pytest.raises(LocalProtocolError, match="backoff_max"):
        ClientConfig(backoff_min=100)


@pytest.mark.parametrize("name", sorted(attrs.fields_dict(ServerConfig)))
def test_the_server_s_values_are_checked_under_its_own_name(name: str) -> None:
    options: dict[str, Any] = {name: 0}

    with pytest.raises(LocalProtocolError, match=rf"^ServerConfig\.{name}: must be a (whole )?number above 0, not 0$"):
        ServerConfig(**options)


def test_a_timeout_may_be_infinite_or_a_fraction() -> None:
    config = ClientConfig(idle_timeout=math.inf, ack_timeout=0.25)

    assert (config.idle_timeout, config.ack_timeout) == (math.inf, 0.25)


@pytest.mark.parametrize("cls", [ClientConfig, ServerConfig])
def test_a_configuration_cannot_be_changed_and_takes_keywords_only(cls: Any) -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        cls().open_timeout = 1
    with pytest.raises(TypeError):
        cls(10)
    assert attrs.evolve(cls(), open_timeout=3).open_timeout == 3
