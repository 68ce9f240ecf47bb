"""Pages for people: templates, what they say in Chinese and English, and the few files that they load.

`document.html` is the frame of every page, `parts.html` what pages are built of. Nothing here knows a request or a
flow: what a page shows is given to it, ready to be written.
"""
