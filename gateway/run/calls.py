"""The one place that calls providers: it measures, keeps each channel's places, and guards the number of requests."""

import time
import traceback
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar, cast
from uuid import UUID

import httpx
from prometheus_client import Counter, Histogram

from gateway.domain.outcomes import AuthenticationOutcome, NotSent, Outcome, Unknown
from gateway.logs import get
from gateway.metrics import PSP_CALLS, PSP_SECONDS
from gateway.ports import PLACE_WITHIN_S, Command, NoSuchCommandError, NotSentError, Providers, Transport, command_name
from gateway.run.places import Places

__all__ = ["OneTooManyError", "ProviderCalls", "guarded"]

log = get(__name__)

O = TypeVar("O", bound=Outcome | AuthenticationOutcome)  # noqa: E741 -- an outcome of either kind

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
    """Implements `ports.Calls`. `calls_at_once`: a channel's limit, None for none; it holds in each process alone."""

    def __init__(self, providers: Providers, calls_at_once: Callable[[UUID, str], int | None]) -> None:
        self._providers = providers
        self._calls_at_once = calls_at_once
        self._places: dict[tuple[UUID, str], Places] = {}

    async def __call__(
        self, merchant_id: UUID, channel: str, account: str, command: Command[O], within_s: float = PLACE_WITHIN_S
    ) -> O:
        """Call the account's adapter; see `ports.Calls`."""
        provider = self._providers.provider(merchant_id, account)
        function = provider.commands.get(type(command))
        if function is None:
            raise NoSuchCommandError(account, provider.declaration.provider, type(command))
        limit = self._calls_at_once(merchant_id, channel)
        if limit is None:
            return await _measured(account, command, function)
        room = self._places_of(merchant_id, channel, limit).room(asks=command.asks)
        if not await room.take(within_s):
            _metrics(account, command_name(type(command)), NotSent.__name__)[1].inc()
            return cast("O", NotSent(f"not sent: {channel} had no place within {within_s:.1f} s", ours=True))
        try:
            return await _measured(account, command, function)
        finally:
            room.leave()

    def _places_of(self, merchant_id: UUID, channel: str, limit: int) -> Places:
        places = self._places.get((merchant_id, channel))
        if places is None:
            places = self._places[merchant_id, channel] = Places(limit)
        places.resize(limit)
        return places


async def _measured(account: str, command: Command[O], function: Callable[[Any], Awaitable[Any]]) -> O:
    """The outcome, counted and timed by what it told."""
    operation = command_name(type(command))
    started = time.perf_counter()
    told = "cancelled"
    try:
        outcome = await _guarded(account, operation, command, function)
        told = type(outcome).__name__
        return outcome
    finally:
        timed, counted = _metrics(account, operation, told)
        timed.observe(time.perf_counter() - started)
        counted.inc()


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
def _metrics(account: str, operation: str, outcome: str) -> tuple[Histogram, Counter]:
    return PSP_SECONDS.labels(account, operation), PSP_CALLS.labels(account, operation, outcome.lower())
