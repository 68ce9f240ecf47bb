"""What stands between the digits that people type or paste: blanks, dashes, and what nobody sees."""

from typing import Final

__all__ = ["BLANKS_AND_DASHES", "UNSEEN"]

UNSEEN: Final = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
"""Of a set in a pattern: joiners, soft hyphens, direction marks as address books put them around what is copied."""
BLANKS_AND_DASHES: Final = rf"\s{UNSEEN}\u2010-\u2015\u2212\uff0d-"
"""The same with blanks of every width and dashes. Stands last in its set."""
