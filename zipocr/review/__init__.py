"""The review: a page in the browser where one person goes through what zipocr is not sure of, from the keyboard.

`queue` decides what comes next, `session` keeps what was decided, `sources` finds the images,
`looks` draws what is shown, `app` serves it.
"""
