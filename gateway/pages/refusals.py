"""What a page says where an app would be told a problem: what happened, and what to do."""

from collections.abc import Mapping
from typing import Final

from gateway.pages.wording import Text

__all__ = ["refusal_words"]

_MOMENT = (
    Text("One moment, please"),
    Text("Too much is going on here just now. Open the page again in a few seconds: nothing is paid twice."),
)
_UNREADABLE = (
    Text("This could not be read"),
    Text("Nothing was sent on. Open the page again and repeat the last step."),
)
_OURS = (
    Text("Something went wrong here"),
    Text("Open the page again and see how it stands before you pay once more."),
)
_WORDS: Final[Mapping[int, tuple[Text, Text]]] = {
    403: (
        Text("Nothing was sent on"),
        Text("This form is out of date or was not sent from our page. Open the page again and repeat the last step."),
    ),
    404: (
        Text("This link does not lead anywhere"),
        Text("Go back to the merchant and open the payment from there once more."),
    ),
    503: _MOMENT,
}


def refusal_words(status: int) -> tuple[Text, Text]:
    """Title and text of a page that is answered with this status."""
    return _WORDS.get(status) or (_UNREADABLE if status < 500 else _OURS)
