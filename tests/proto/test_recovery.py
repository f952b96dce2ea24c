"""Recovery: what is done about a connection that has ended, or could not be made."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwoom_proto import ClientConfig, Closed, KiwoomError, LocalProtocolError, SystemNotice
from kiwoom_proto.errors import (
    ClosedByPeer,
    DeadlineExceeded,
    HandshakeError,
    LoginRefused,
    RemoteProtocolError,
    TakenOver,
    TokenError,
    TokenRefused,
    TransportError,
)
from kiwoom_proto.session.recovery import TAKEOVER_RESET_AFTER, Recovery, Renew, Retry, Stop, Verdict

NEARLY_ONE = 1 - 2**-53
FAULTS = [
    TransportError("connection reset by peer"),
    ClosedByPeer("the server closed the connection"),
    RemoteProtocolError("a REG reply that nobody had asked for"),
    HandshakeError("the server answered 502", 502),
    *(DeadlineExceeded(phase, 5) for phase in ("open", "login", "ack", "idle")),
]
KICKED = Closed(1000, "Bye", ClosedByPeer("the server closed the connection"), 1000, SystemNotice("R10001", "m"))


def made(draw: float | Callable[[], float] = NEARLY_ONE, **config: Any) -> Recovery:
    return Recovery(ClientConfig(**config), draw if callable(draw) else lambda: float(draw))


def logged_in(recovery: Recovery, now: float = 0.0) -> Recovery:
    recovery.attempt_started()
    recovery.logged_in(now)
    return recovery


def lost(error: KiwoomError = FAULTS[0]) -> Closed:
    return Closed(1006, "", error)


def refused(reason: str | None, code: str = "805004") -> Closed:
    return Closed(1000, "", LoginRefused(code, "m", reason))


def delay(verdict: Verdict) -> float:
    assert isinstance(verdict, Retry), verdict
    return verdict.delay


def reason(verdict: Verdict) -> KiwoomError:
    assert isinstance(verdict, Stop), verdict
    return verdict.error


def fail(recovery: Recovery, now: float = 0.0, closed: Closed | None = None) -> Verdict:
    """An attempt that fails."""
    recovery.attempt_started()
    return recovery.connection_lost(lost() if closed is None else closed, now)


# When to try again.


def test_the_wait_doubles_up_to_its_limit() -> None:
    recovery = logged_in(made())
    assert [round(delay(fail(recovery))) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_wait_is_any_time_up_to_that() -> None:
    """Full jitter: a thousand clients that lost the same server do not come back together."""
    recovery = logged_in(made(0.0))
    assert [delay(fail(recovery)) for _ in range(9)] == [0.0] * 9
    recovery = logged_in(made(0.5))
    assert [delay(fail(recovery)) for _ in range(3)] == [0.5, 1.0, 2.0]


def test_the_limits_are_the_configured_ones() -> None:
    recovery = logged_in(made(backoff_min=3, backoff_max=10))
    assert [round(delay(fail(recovery))) for _ in range(4)] == [3, 6, 10, 10]


@given(st.integers(), st.floats(0.01, 100), st.floats(1, 1000), st.integers(1, 100))
def test_the_wait_keeps_within_its_bounds(seed: int, least: float, factor: float, failures: int) -> None:
    recovery = logged_in(made(random.Random(seed).random, backoff_min=least, backoff_max=least * factor))
    for failure in range(failures):
        assert 0 <= delay(fail(recovery)) <= min(least * 2**failure, least * factor)


def test_a_year_of_failures_does_not_overflow() -> None:
    recovery = logged_in(made())
    for _ in range(5000):
        verdict = fail(recovery)
    assert round(delay(verdict)) == 60


def test_a_connection_that_did_not_hold_does_not_start_it_over() -> None:
    """A server that takes the login and drops the connection at once must not be flooded."""
    recovery = made()
    waits = []
    for number in range(8):
        recovery.attempt_started()
        recovery.logged_in(number * 100.0)
        waits.append(round(delay(recovery.connection_lost(lost(), number * 100.0 + 59.9))))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_connection_that_held_starts_it_over() -> None:
    recovery = logged_in(made())
    for _ in range(8):
        fail(recovery)
    logged_in(recovery, 1000.0)
    assert round(delay(recovery.connection_lost(lost(), 1060.0))) == 1
    assert round(delay(fail(recovery))) == 2


def test_the_time_since_the_last_login_is_not_that_of_this_connection() -> None:
    """An attempt that fails an hour after the last login has held for no time at all."""
    recovery = logged_in(made())
    assert round(delay(recovery.connection_lost(lost(), 1.0))) == 1
    assert round(delay(fail(recovery, 3600.0))) == 2


@pytest.mark.parametrize("error", FAULTS, ids=str)
def test_every_fault_of_server_and_network_is_tried_again(error: KiwoomError) -> None:
    recovery = logged_in(made())
    assert isinstance(recovery.connection_lost(lost(error), 0.0), Retry)


def test_any_notice_of_the_server_but_a_takeover_is_tried_again() -> None:
    closed = Closed(1000, "Bye", ClosedByPeer("the server closed the connection"), 1000, SystemNotice("R10002", "m"))
    assert isinstance(logged_in(made()).connection_lost(closed, 0.0), Retry)


# For how long.


def begun(draw: float | Callable[[], float] = NEARLY_ONE, **config: Any) -> Recovery:
    recovery = made(draw, **config)
    recovery.start(0.0)
    return recovery


def give_up(recovery: Recovery, error: KiwoomError = FAULTS[0]) -> tuple[float, KiwoomError]:
    """Let every attempt fail at once; returns when it gave up, and why."""
    now = 0.0
    while isinstance(verdict := fail(recovery, now, lost(error)), Retry):
        now += verdict.delay
    return now, reason(verdict)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("seconds", [0.5, 30, 600])
def test_the_first_login_is_tried_for_so_long(seed: int, seconds: float) -> None:
    """To the end of it but for the wait that would not have ended in time."""
    now, error = give_up(begun(random.Random(seed).random, connect_timeout=seconds))
    assert seconds * 5 / 6 <= now < seconds
    assert isinstance(error, DeadlineExceeded)
    assert (error.phase, error.seconds, error.last, error.__cause__) == ("connect", seconds, FAULTS[0], FAULTS[0])


def test_giving_up_says_what_went_wrong_last_and_which_limit_it_was() -> None:
    _, error = give_up(begun(), TransportError("connection refused"))
    assert str(error) == ("cannot log in within 30 s (connect_timeout); the last attempt failed: connection refused")


def test_giving_up_at_once_says_how_long_the_server_asks_to_wait() -> None:
    error = TokenRefused("", "Too Many Requests", 429, retry_after=60.0)
    _, why = give_up(begun(), error)
    assert str(why).startswith(
        "cannot log in within 30 s (connect_timeout); the last attempt failed: no token: HTTP 429"
    )
    assert str(why).endswith("; the server asks to wait 60 s")


def test_waits_that_happen_to_be_short_do_not_use_the_time_up() -> None:
    recovery = begun(0.0)
    assert {type(fail(recovery, 29.9)) for _ in range(100)} == {Retry}


def test_no_wait_for_the_first_login_takes_more_than_a_sixth_of_the_time_at_random() -> None:
    recovery = begun(connect_timeout=12)
    assert [round(delay(fail(recovery))) for _ in range(5)] == [1, 2, 2, 2, 2]


def test_attempts_that_got_no_token_take_time_too() -> None:
    recovery = begun()
    recovery.attempt_started()
    error = TransportError("no such host")
    assert isinstance(recovery.token_failed(error, 3.0), Retry)
    assert isinstance(why := reason(recovery.token_failed(error, 29.5)), DeadlineExceeded)
    assert why.last is error


def test_an_attempt_that_is_under_way_when_time_is_up_ends_with_the_reason_of_the_one_before() -> None:
    recovery = begun()
    assert isinstance(fail(recovery, 1.0), Retry)
    assert recovery.check_deadline(29.9) is None
    error = recovery.check_deadline(30.0)
    assert error is not None
    assert error.last is FAULTS[0]
    assert reason(recovery.connection_lost(lost(error), 30.0)) is error


def test_an_attempt_that_is_the_first_has_none_before_it() -> None:
    error = begun().check_deadline(30.0)
    assert str(error) == "cannot log in within 30 s (connect_timeout)"


def test_a_token_that_was_renewed_is_what_went_wrong_last() -> None:
    recovery = begun()
    closed = refused("8005")
    assert isinstance(fail(recovery, closed=closed), Renew)
    error = recovery.check_deadline(30.0)
    assert error is not None
    assert error.last is closed.error


def test_what_stops_at_once_does_not_wait_for_the_time_to_pass() -> None:
    assert isinstance(fail(begun(), closed=refused("8031")), Stop)
    assert isinstance(begun().token_failed(TokenRefused("3", "m", 200, "8001"), 0.0), Stop)


def test_without_reconnecting_the_first_login_has_one_attempt() -> None:
    assert reason(fail(begun(reconnect=False))) is FAULTS[0]


def test_after_the_first_login_it_does_not_give_up() -> None:
    recovery = logged_in(begun(connect_timeout=1))
    assert {type(fail(recovery, 1e6)) for _ in range(1000)} == {Retry}
    assert recovery.check_deadline(1e6) is None


# What the server asks for.


@pytest.mark.parametrize(
    ("error", "least"),
    [
        (TokenRefused("", "Too Many Requests", 429), 1),
        (TokenRefused("", "Too Many Requests", 429, retry_after=7), 7),
        (TokenRefused("", "Too Many Requests", 429, retry_after=0), 1),
        (TokenRefused("", "Service Unavailable", 503, retry_after=20), 20),
        (TokenRefused("", "Service Unavailable", 503), 0),
        (HandshakeError("m", 429), 1),
        (HandshakeError("m", 503, b"", 9), 9),
        (HandshakeError("m", 502), 0),
    ],
    ids=repr,
)
def test_the_wait_is_as_long_as_the_server_asks_for_and_a_random_time_on_top(error: KiwoomError, least: float) -> None:
    """On top: a thousand clients that were told the same time do not come back together either."""
    for draw in (0.0, 0.5):
        for recovery in (logged_in(made(draw)), begun(draw)):
            recovery.attempt_started()
            verdict = (
                recovery.token_failed(error, 0.0)
                if isinstance(error, TokenRefused)
                else recovery.connection_lost(lost(error), 0.0)
            )
            assert delay(verdict) == least + draw


@pytest.mark.parametrize("seconds", [3600, 1e300, float("inf")])
def test_no_server_sends_a_session_away_for_longer_than_the_longest_wait(seconds: float) -> None:
    recovery = logged_in(made(0.5, backoff_max=20))
    assert delay(recovery.token_failed(TokenRefused("", "m", 429, retry_after=seconds), 0.0)) == 20


def test_a_first_login_that_the_server_puts_off_beyond_its_time_is_given_up_at_once() -> None:
    error = TokenRefused("", "Too Many Requests", 429, retry_after=45)
    assert isinstance(why := reason(begun().token_failed(error, 0.0)), DeadlineExceeded)
    assert why.last is error


def test_attempts_are_counted_from_the_last_login() -> None:
    recovery = made()
    assert recovery.attempt == 0
    fail(recovery)
    fail(recovery)
    assert recovery.attempt == 2
    recovery.logged_in(0.0)
    assert recovery.attempt == 0


@pytest.mark.parametrize("error", FAULTS, ids=str)
def test_without_reconnecting_the_first_fault_is_the_end(error: KiwoomError) -> None:
    assert reason(fail(made(reconnect=False), closed=lost(error))) is error
    recovery = logged_in(made(reconnect=False))
    assert reason(recovery.connection_lost(lost(error), 9999.0)) is error


def test_without_reconnecting_a_token_is_not_waited_for() -> None:
    error = TokenError("no")
    recovery = made(reconnect=False)
    recovery.attempt_started()
    assert reason(recovery.token_failed(error, 0.0)) is error


# A LOGIN that was refused.


@pytest.mark.parametrize(
    ("code", "reason_", "expected"),
    [
        ("805004", "8005", Renew),
        ("805004", "8003", Renew),
        ("805004", "8010", Renew),
        ("805004", "8103", Renew),
        ("105100", None, Renew),
        ("805004", None, Renew),
        ("805004", "9999", Renew),
        ("777", None, Renew),
        ("805004", "8031", Stop),
        ("805004", "8030", Stop),
        ("805004", "8001", Stop),
        ("805002", None, Stop),
        ("805004", "8006", Retry),
        ("100013", None, Retry),
        ("105110", None, Retry),
    ],
)
def test_what_is_done_about_a_refused_login(code: str, reason_: str | None, expected: type) -> None:
    verdict = fail(made(), closed=refused(reason_, code))
    assert type(verdict) is expected
    if isinstance(verdict, Stop):
        assert isinstance(verdict.error, LoginRefused)
        assert verdict.error.reason == reason_


def test_a_token_is_renewed_once() -> None:
    recovery = made()
    assert isinstance(fail(recovery, closed=refused("8005")), Renew)
    assert isinstance(reason(fail(recovery, closed=refused("8005"))), LoginRefused)


def test_a_token_is_renewed_once_however_many_faults_come_between() -> None:
    recovery = logged_in(made())
    assert isinstance(fail(recovery, closed=refused("8005")), Renew)
    for _ in range(20):
        fail(recovery)
    assert isinstance(fail(recovery, closed=refused("8005")), Stop)


def test_a_token_is_renewed_again_after_a_login() -> None:
    """They last for a day, sessions for months."""
    recovery = made()
    for day in range(100):
        assert isinstance(fail(recovery, closed=refused("8005")), Renew)
        logged_in(recovery, day * 86_400.0)
        assert isinstance(recovery.connection_lost(lost(), day * 86_400.0 + 80_000), Retry)


@pytest.mark.parametrize("reason_", ["8005", None, "9999"])
def test_a_token_that_cannot_be_renewed_is_the_end(reason_: str | None) -> None:
    recovery = made()
    recovery.start(0.0, can_renew=False)
    recovery.attempt_started()
    closed = refused(reason_)
    assert reason(recovery.connection_lost(closed, 0.0)) is closed.error


def test_a_wrong_environment_is_the_end_in_the_middle_of_a_session_too() -> None:
    recovery = logged_in(made())
    assert isinstance(fail(recovery, closed=refused("8031")), Stop)


def test_a_refused_login_that_may_pass_is_tried_with_growing_waits() -> None:
    recovery = logged_in(made())
    assert [round(delay(fail(recovery, closed=refused("8006")))) for _ in range(4)] == [1, 2, 4, 8]


# No token.


@pytest.mark.parametrize(
    "error",
    [
        TokenRefused("", "Too Many Requests", 429),
        TokenRefused("", "an HTML page where JSON belongs", 200),
        TokenRefused("", "Service Unavailable", 503),
        TokenRefused("3", "m", 200, "8006"),
        TokenRefused("3", "m", 200, "4711"),
        TokenError("the token callable raised OSError"),
        TransportError("connection refused"),
        DeadlineExceeded("token", 10),
    ],
    ids=str,
)
def test_a_token_that_could_not_be_had_is_asked_for_again_with_growing_waits(error: KiwoomError) -> None:
    recovery = logged_in(made())
    waits = []
    for _ in range(4):
        recovery.attempt_started()
        waits.append(round(delay(recovery.token_failed(error, 0.0))))
    assert waits == ([2, 3, 5, 9] if "429" in str(error) else [1, 2, 4, 8])


@pytest.mark.parametrize(
    "error",
    [
        TokenRefused("3", "m", 200, "8001"),
        TokenRefused("3", "m", 200, "8030"),
        TokenRefused("8050", "m", 200),
        LocalProtocolError("token: must be a non-empty str"),
    ],
    ids=str,
)
def test_a_token_that_cannot_be_had_is_the_end(error: KiwoomError) -> None:
    for recovery in (made(), logged_in(made())):
        recovery.attempt_started()
        assert reason(recovery.token_failed(error, 0.0)) is error


# The same app key elsewhere.


def test_a_takeover_is_the_end_by_default() -> None:
    error = reason(logged_in(made()).connection_lost(KICKED, 1e6))
    assert isinstance(error, TakenOver)
    assert error.times == 1
    assert "ClientConfig.takeover" in str(error)


def test_a_takeover_can_be_waited_out() -> None:
    recovery = logged_in(made(takeover="wait", takeover_wait=120))
    assert recovery.connection_lost(KICKED, 10.0) == Retry(120)


def test_a_takeover_can_be_as_any_other_loss() -> None:
    recovery = made(takeover="reconnect")
    waits = []
    for _ in range(3):
        logged_in(recovery, 0.0)
        waits.append(round(delay(recovery.connection_lost(KICKED, 10.0))))
    assert waits == [1, 2, 4]


@pytest.mark.parametrize("policy", ["wait", "reconnect"])
@pytest.mark.parametrize("limit", [1, 3])
def test_takeovers_in_a_row_have_a_limit(policy: Any, limit: int) -> None:
    recovery = made(takeover=policy, takeover_limit=limit, takeover_wait=10)
    verdicts = []
    for _ in range(limit + 1):
        logged_in(recovery, 0.0)
        verdicts.append(recovery.connection_lost(KICKED, 100.0))
    assert [type(verdict) for verdict in verdicts] == [Retry] * limit + [Stop]
    error = reason(verdicts[-1])
    assert isinstance(error, TakenOver)
    assert error.times == limit + 1


@pytest.mark.parametrize("policy", ["wait", "reconnect"])
def test_takeovers_with_a_calm_time_between_are_not_in_a_row(policy: Any) -> None:
    recovery = made(takeover=policy, takeover_limit=1)
    for number in range(10):
        logged_in(recovery, number * 1e5)
        assert isinstance(recovery.connection_lost(KICKED, number * 1e5 + TAKEOVER_RESET_AFTER), Retry)


@pytest.mark.parametrize("policy", ["wait", "reconnect"])
def test_a_time_that_other_losses_interrupt_is_not_calm(policy: Any) -> None:
    recovery = made(takeover=policy, takeover_limit=1)
    logged_in(recovery, 0.0)
    recovery.connection_lost(KICKED, 1.0)
    for number in range(1, 5):
        logged_in(recovery, number * 1000.0)
        recovery.connection_lost(lost(), number * 1000.0 + 900)
    logged_in(recovery, 5000.0)
    assert isinstance(recovery.connection_lost(KICKED, 5001.0), Stop)


def test_calm_is_longer_than_the_wait() -> None:
    """Else two programs that both wait for so long would throw each other out for ever."""
    recovery = made(takeover="wait", takeover_limit=1, takeover_wait=3 * TAKEOVER_RESET_AFTER)
    for now in (0.0, 1e6):
        logged_in(recovery, now)
        verdict = recovery.connection_lost(KICKED, now + 4 * TAKEOVER_RESET_AFTER)
    assert isinstance(verdict, Stop)


@pytest.mark.parametrize("policy", ["stop", "wait", "reconnect"])
def test_without_reconnecting_a_takeover_is_the_end(policy: Any) -> None:
    recovery = logged_in(made(takeover=policy, reconnect=False))
    assert isinstance(reason(recovery.connection_lost(KICKED, 1e6)), TakenOver)
