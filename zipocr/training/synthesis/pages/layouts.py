"""The kinds of pages and their layouts."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from zipocr.training.synthesis.pages import cutouts, envelopes, labels, no_mail
from zipocr.training.synthesis.pages.canvas import Canvas
from zipocr.training.synthesis.pages.desk import Desk

Layout: TypeAlias = Callable[[Desk], Canvas]
CUT_OUT: Mapping[str, Layout] = {
    "printed_block": cutouts.printed_block,
    "printed_line": cutouts.printed_line,
    "hand_block": cutouts.hand_block,
    "hand_line": cutouts.hand_line,
}
"""Kinds that are part of a mail piece."""
WHOLE: Mapping[str, Layout] = {
    "printed_envelope": envelopes.printed_envelope,
    "window": envelopes.window,
    "parcel_label": labels.parcel_label,
    "hand_envelope": envelopes.hand_envelope,
}
"""Kinds that are a whole mail piece, which may lie on a table."""
NO_MAIL: Mapping[str, Layout] = {
    "text_page": no_mail.text_page,
    "form": no_mail.form,
    "notes": no_mail.notes,
    "receipt": no_mail.receipt,
    "photograph": no_mail.photograph,
}
"""Kinds that are not mail and never have a ZIP."""
LAYOUTS: Mapping[str, Layout] = {**CUT_OUT, **WHOLE, **NO_MAIL}
"""All kinds except ``low_quality``, which is any mail, badly printed or scanned."""
BY_HAND = tuple(kind for kind in LAYOUTS if kind.startswith("hand_"))
"""Handwritten kinds."""
