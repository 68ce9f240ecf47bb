"""The one place that calls providers: it measures, keeps each channel's places, and guards the number of requests."""

import time
import traceback
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, TypeVar, cast
from uuid import UUID

import httpx
import structlog
from prometheus_client import Counter, Histogram

from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import AnyOutcome, BalanceOutcome, Declined, NotSent, ReturnsOutcome, Unknown
from gateway.domain.redirects import Form
from gateway.logs import clean, get, write
from gateway.metrics import PSP_CALLS, PSP_SECONDS
from gateway.ports import (
    PLACE_WITHIN_S,
    Command,
    NoSuchCommandError,
    NotSentError,
    Providers,
    Redirect,
    Transport,
    command_name,
)
from gateway.run.rooms import ProcessRooms

__all__ = ["OneTooManyError", "ProviderCalls", "guarded"]

log = get(__name__)

O = TypeVar("O", bound=AnyOutcome | ReturnsOutcome | BalanceOutcome)  # noqa: E741 -- an outcome of any kind

CODE_SHOWN_MAX: Final = 64
FRAMES_TOLD: Final = 4
"""Of a failure in an adapter. Its message is not told: it may quote a card."""


@dataclass(slots=True)
class _Requests:
    """The requests of the command in hand."""

    left: int
    perhaps_sent: bool = False
    refused: bool = False


_in_hand: ContextVar[_Requests | None] = ContextVar("requests of the command in hand", default=None)


class OneTooManyError(RuntimeError):
    """A bug: an adapter wants to send more requests than its command makes, or sends outside of any command."""


def guarded(transport: Transport) -> Transport:
    """The same transport, refusing what is one request too many. It stands outside of `retry_not_sent`."""

    async def send(request: httpx.Request) -> httpx.Response:
        requests = _in_hand.get()
        if requests is None or requests.left <= 0:
            if requests is not None:
                requests.refused = True
            raise OneTooManyError("more requests than the command makes")
        requests.left -= 1
        before, requests.perhaps_sent = requests.perhaps_sent, True
        try:
            return await transport(request)
        except NotSentError:
            requests.perhaps_sent = before
            raise

    return send


class ProviderCalls:
    """Implements `ports.Calls`, within the places of each channel.

    `merchant`: a merchant's code, for metrics and the log.
    """

    def __init__(self, providers: Providers, rooms: ProcessRooms, merchant: Callable[[UUID], str] = str) -> None:
        self._providers = providers
        self._rooms = rooms
        self._merchant = merchant

    async def __call__(
        self,
        merchant_id: UUID,
        channel: str,
        account: str,
        command: Command[O],
        within_s: float = PLACE_WITHIN_S,
        holder: UUID | None = None,
    ) -> O:
        """Call the account's adapter; see `ports.Calls`."""
        provider = self._providers.provider(merchant_id, account)
        function = provider.commands.get(type(command))
        if function is None:
            raise NoSuchCommandError(account, provider.declaration.provider, type(command))
        where = _Where(self._merchant(merchant_id), account, channel)
        if holder is not None and not command.asks and self._rooms.holds(holder, merchant_id, channel):
            if not await self._rooms.may_call(holder, within_s):
                return _no_place(where, command, within_s)
            return await _measured(where, command, function)
        room = self._rooms.places(merchant_id, channel).room(asks=command.asks)
        if not await room.take(within_s):
            return _no_place(where, command, within_s)
        try:
            room.spend()
            return await _measured(where, command, function)
        finally:
            room.leave()

    async def form(self, merchant_id: UUID, account: str, command: Redirect) -> Form:
        """The form that brings the payer's browser to the PSP: it is built, and nothing is sent.

        Raises UnusableAccountError, NoSuchCommandError.
        """
        provider = self._providers.provider(merchant_id, account)
        function = provider.commands.get(Redirect)
        if function is None:
            raise NoSuchCommandError(account, provider.declaration.provider, Redirect)
        token = _in_hand.set(_Requests(command.requests))
        try:
            return cast("Form", await function(command))
        finally:
            _in_hand.reset(token)


@dataclass(frozen=True, slots=True)
class _Where:
    """Whom a call goes to, by codes."""

    merchant: str
    account: str
    channel: str


def _no_place(where: _Where, command: Command[O], within_s: float) -> O:
    """Not sent, by our own doing; counted and told as a call that was."""
    outcome = NotSent(f"not sent: {where.channel} had no place within {within_s:.1f} s", ours=True)
    _metrics(where.merchant, where.account, command_name(type(command)), NotSent.__name__)[1].inc()
    _say(where, command, outcome, within_s)
    return cast("O", outcome)


async def _measured(where: _Where, command: Command[O], function: Callable[[Any], Awaitable[Any]]) -> O:
    """The outcome, counted and timed by what it told."""
    operation = command_name(type(command))
    started = time.perf_counter()
    outcome: O | None = None
    try:
        outcome = await _guarded(where.account, operation, command, function)
        return outcome
    finally:
        seconds = time.perf_counter() - started
        told = "cancelled" if outcome is None else type(outcome).__name__
        timed, counted = _metrics(where.merchant, where.account, operation, told)
        timed.observe(seconds)
        counted.inc()
        if isinstance(outcome, _TOLD) or outcome is None:
            _say(where, command, outcome, seconds)


_TOLD: Final = (Declined, Unknown, NotSent)
"""Refused, not answered or not believed, not sent: what has a line in the log."""


def _say(where: _Where, command: Command[Any], outcome: object, seconds: float) -> None:
    """One line: whom was called, by which command and number, and what came of it. Never the PSP's own words."""
    fields: dict[str, Any] = {
        "event.action": command_name(type(command)),
        "event.outcome": "failure" if isinstance(outcome, Declined | NotSent) else "unknown",
        "event.duration": int(seconds * 1e9),
        "sluice.ms": round(seconds * 1e3, 1),
        "sluice.merchant": where.merchant,
        "sluice.account": where.account,
        "sluice.channel": where.channel,
        "sluice.number": command.number,
    }
    request_id = structlog.contextvars.get_contextvars().get("request_id")  # None for what a worker does
    if request_id is not None:
        fields["http.request.id"] = request_id
    level: Literal["info", "warning"] = "info"
    match outcome:
        case Declined():
            what, fields["event.reason"] = "refused", outcome.code.value
            # Our signature, format or permission: every payment of the account may be refused until somebody looks.
            level = "warning" if outcome.code is FailureCode.CHANNEL_REFUSED else "info"
        case NotSent():
            what, fields["event.reason"] = "not sent", clean(outcome.reason)
        case Unknown():
            what, fields["event.reason"] = "not answered, or not believed", clean(outcome.reason)
        case _:
            what, fields["event.reason"] = "given up", "no answer before it was due"
    code = getattr(outcome, "channel_code", None)
    if code is not None:
        fields["sluice.channel_code"] = clean(code)[:CODE_SHOWN_MAX]
    write(__name__, level, f"call to the payment company: {what}", fields)


async def _guarded(account: str, operation: str, command: Command[O], function: Callable[[Any], Awaitable[Any]]) -> O:
    """The outcome, whatever the adapter does: a bug of its own is logged once and told as unknown."""
    requests = _Requests(command.requests)
    token = _in_hand.set(requests)
    try:
        outcome = await function(command)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the request may have been sent
        if not requests.refused:
            log.error("adapter failed", account=account, operation=operation, **_told_of(error))
            return cast("O", Unknown("the adapter failed: see the log"))
    else:
        if not requests.refused:
            return cast("O", outcome)
    finally:
        _in_hand.reset(token)
    log.error("adapter wanted one request too many", account=account, operation=operation, allowed=command.requests)
    if requests.perhaps_sent:
        return cast("O", Unknown("the adapter wanted to send more than one request"))
    return cast("O", NotSent("not sent: the adapter wanted to send more than its command does", ours=True))


def _told_of(error: Exception) -> dict[str, object]:
    """What kind of error it was and where: without its message."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_TOLD:]
    return {"error": type(error).__name__, "where": [f"{frame.filename}:{frame.lineno}" for frame in frames]}


@cache
def _metrics(merchant: str, account: str, operation: str, outcome: str) -> tuple[Histogram, Counter]:
    timed, counted = PSP_SECONDS.labels(merchant, account, operation), PSP_CALLS
    return timed, counted.labels(merchant, account, operation, outcome.lower())
