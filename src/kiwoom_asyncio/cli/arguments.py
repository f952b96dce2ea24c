"""What several commands are told: the access token in the environment, and types as they are typed."""

from __future__ import annotations

import os

import click

from kiwoom_proto import REALTIME, AppKey, Endpoint, Record, Secret
from kiwoom_proto.realtime.traits import MAX_TYPE_LENGTH, Market
from kiwoom_proto.wire.messages import check_token

from .running import usage_errors
from .stream import Token

__all__ = ("other_case", "token_of_environment", "undeclared")

TOKEN_VARIABLE = "KIWOOM_TOKEN"
KEY_VARIABLES = ("KIWOOM_APPKEY", "KIWOOM_SECRETKEY")


def other_case(type: str) -> str:
    """Return the end of an error message: the types that a misspelt one differs from only in case."""
    near = [code for code in REALTIME if code.lower() == type.lower()]
    return f"; did you mean {' or '.join(near)}? Upper and lower case differ" if near else ""


def undeclared(type: str, endpoint: Endpoint) -> list[type[Record]]:
    """Return a class for a type that is not in the catalogue, unless it differs only in case from one that is."""
    if len(type) != MAX_TYPE_LENGTH or type in REALTIME or other_case(type):
        return []

    class Undeclared(Record, tag=type):
        """A type that is not in the catalogue; every FID is a `str`."""

        market = Market.US if endpoint.us else Market.DOMESTIC

    return [Undeclared]


def token_of_environment() -> Token:
    """Return the access token, or the keys to get one with.

    Raises:
        click.UsageError: neither is set.
    """
    token = Secret(os.environ.get(TOKEN_VARIABLE, "").strip())
    appkey, secretkey = (Secret(os.environ.get(name, "").strip()) for name in KEY_VARIABLES)
    with usage_errors():
        if token:
            check_token(token)
            return token
        if appkey and secretkey:
            return AppKey(appkey, secretkey)
    raise click.UsageError(
        f"no access: set the environment variables {' and '.join(KEY_VARIABLES)}, or {TOKEN_VARIABLE}, an access token"
    )
