"""The wire: one HTTP exchange with a PSP, and what it means when nothing readable comes back.

TransportError            nothing readable came back
├── NotSentError          the connection was never made
└── AnswerLostError       sent, or perhaps sent; the answer is lost, late, cut or too big
"""

from typing import Protocol

import httpx

__all__ = ["AnswerLostError", "NotSentError", "Transport", "TransportError"]


class TransportError(Exception):
    """Nothing readable came back. The message names the cause and never a URL's query, a body or a secret."""


class NotSentError(TransportError):
    """The connection was never made: name resolution, refusal, or TLS failed before the request."""


class AnswerLostError(TransportError):
    """The request was sent, or perhaps sent, and no whole answer was read."""


class Transport(Protocol):
    """One HTTP exchange. The request must carry explicit timeouts in `extensions["timeout"]`."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Send and read the whole answer (any status). Raises NotSentError or AnswerLostError."""
        ...
