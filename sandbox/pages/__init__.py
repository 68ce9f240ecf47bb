"""Pages that a payer's browser opens at a mock bank: plain HTML, no script, Chinese with English beside.

`desk` shows the page of one order, takes what the payer chooses there, and shows the way back; a provider is its
`Clerk`. `render` writes a page from a template; every value in it is escaped.
"""

from sandbox.pages.desk import Bill, Choice, Clerk, Desk, Ending, WayBack
from sandbox.pages.render import page

__all__ = ["Bill", "Choice", "Clerk", "Desk", "Ending", "WayBack", "page"]
