"""The options --endpoint and --insecure, which say where the command connects to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kiwoom_proto import MOCK, PRODUCTION, US_MOCK, US_PRODUCTION, Endpoint, LocalProtocolError

__all__ = ("endpoint_options",)

if TYPE_CHECKING:
    _EndpointBase = click.ParamType[Endpoint]
else:
    _EndpointBase = click.ParamType  # not generic before click 8.5

ENDPOINTS = {"production": PRODUCTION, "mock": MOCK, "us": US_PRODUCTION, "us-mock": US_MOCK}
CLEAR = "keys and tokens would go to this host in clear; write wss://, or add --insecure where that is meant"
VERIFIED = "--insecure is for a ws:// URL; the certificate of a wss:// server is always verified"
INSECURE = "kiwoom_proto.insecure"
"""The key under which click's context keeps --insecure until --endpoint is read."""


class _Endpoint(_EndpointBase):
    name = "|".join([*ENDPOINTS, "URL"])

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "ENDPOINT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Endpoint:
        insecure = ctx is not None and ctx.meta.get(INSECURE, False)
        try:
            endpoint = ENDPOINTS.get(value) or Endpoint(value, insecure=insecure)
        except LocalProtocolError as error:
            if not insecure and _is_insecure(value):
                self.fail(CLEAR, param, ctx)
            self.fail(str(error), param, ctx)
        if insecure and endpoint.secure:
            self.fail(VERIFIED, param, ctx)
        return endpoint


def _is_insecure(url: str) -> bool:
    """Whether a URL is refused only because keys would be sent in clear text."""
    try:
        return not Endpoint(url, insecure=True).secure
    except LocalProtocolError:
        return False


def _keep_insecure(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[INSECURE] = value


_ENDPOINT = click.option(
    "--endpoint",
    type=_Endpoint(),
    default="production",
    help="production, mock (모의투자), us, us-mock, or a URL. [default: production]",
)
_INSECURE = click.option(
    "--insecure",
    is_flag=True,
    is_eager=True,  # read before --endpoint, in any order
    expose_value=False,
    callback=_keep_insecure,
    help="Permit a ws:// URL on another machine. Keys and token are sent in clear text.",
)


def endpoint_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --endpoint (the parameter `endpoint`) and --insecure to a command."""
    return _ENDPOINT(_INSECURE(command))
