"""Pages that a payer's browser opens at a mock bank: plain HTML, no script, Chinese with English beside. And the base
of the other pages here, the sandbox's own and the sample shop's: `site`.

`desk` shows the page of one order, takes what the payer chooses there, and shows the way back; a provider is its
`Clerk`. `render` writes a page from a template; every value in it is escaped.
"""

from sandbox.pages.desk import Bill, Choice, Clerk, Desk, Ending, WayBack
from sandbox.pages.render import page
from sandbox.pages.site import Language, Site, language_of, wants_page

__all__ = [
    "Bill",
    "Choice",
    "Clerk",
    "Desk",
    "Ending",
    "Language",
    "Site",
    "WayBack",
    "language_of",
    "page",
    "wants_page",
]
