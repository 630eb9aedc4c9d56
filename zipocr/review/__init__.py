"""The review: a page in the browser to decide what is in doubt, from the keyboard.

`queue` decides what comes next, `session` keeps what was decided, `sources` finds the images,
`looks` draws what is shown, `app` serves it.
"""
