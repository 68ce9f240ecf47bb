"""Whether a PSP's word says anything new of an intent. One that does not is counted, not kept once more. Pure."""

import re

from gateway.domain.hearing import Heard
from gateway.domain.intents import Intent
from gateway.domain.terms import Terms

__all__ = ["says_news", "without_figures"]

_FIGURES = re.compile("[0-9]+")


def says_news(before: Intent, did: Heard, terms: Terms) -> bool:
    """Whether what was heard changed more than the plan of questions.

    Each "not found" that a proof may rest on is news: that it was said, and when, is kept for each of them. So is each
    of the looks after the end.
    """
    after = did.intent
    if after is before:
        return False
    if after.is_open and not after.acknowledged and terms.not_found is not None and after.not_found > before.not_found:
        return True
    return (
        after.state is not before.state
        or after.acknowledged != before.acknowledged
        or after.late_success != before.late_success
        or after.looks != before.looks
        or after.channel_transaction_no != before.channel_transaction_no
        or after.channel_finished_at != before.channel_finished_at
    )


def without_figures(text: str | None) -> str | None:
    """A PSP's words without their digits: some put the time of day or a number of their own into every message."""
    return None if text is None else _FIGURES.sub("", text)
