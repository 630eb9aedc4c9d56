"""The review: a page in the browser for deciding about doubtful pages.

`queue` decides what comes next, `session` keeps decisions, `preview` draws pages, `claims` shares
work between reviewers, `app` serves the page.
"""
