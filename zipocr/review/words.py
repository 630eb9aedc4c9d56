"""Messages of the review."""

from zipocr.types import Reason

WHY = {
    Reason.LOW_CONFIDENCE: "The confidence is below the threshold.",
    Reason.DIRECTORY_CHOICE: "The list of ZIP codes decided; another reading looked better.",
    Reason.TOWN_CHOICE: "The town written beside the ZIP decided; its digits looked like another.",
    Reason.NOT_IN_DIRECTORY: "This ZIP is not listed.",
    Reason.TURNED_90: "It was rotated for reading.",
    Reason.TURNED_180: "It was rotated upside down for reading.",
    Reason.TURNED_270: "It was rotated for reading.",
    Reason.NO_INK: "Nothing seems to be written here.",
    Reason.NOT_FIVE_DIGITS: "There is writing, but neither five digits nor nine could be made out.",
    Reason.SEVERAL_CANDIDATES: "Several ZIP codes could be the destination's.",
    Reason.NO_DESTINATION_ZIP: "No ZIP code of a destination was found.",
    Reason.SEVERAL_LINES: "More than one line is written here.",
    Reason.TOO_LARGE: "The page or its file was too large to be opened.",
    Reason.UNREADABLE_FILE: "The file is damaged, empty, encrypted or not an image.",
    Reason.NEEDS_PDF_EXTRA: "Reading PDF files needs an extra: pip install 'zipocr[pdf]'.",
    Reason.NEEDS_HEIF_EXTRA: "Reading HEIC files needs an extra: pip install 'zipocr[heif]'.",
    Reason.TIMEOUT: "It took too long to read.",
    Reason.OUT_OF_MEMORY: "It took more memory than there was.",
    Reason.WORKER_DIED: "The process that read it crashed or was killed.",
    Reason.PROGRAM_ERROR: "A bug in zipocr kept it from being read; please report it.",
    Reason.CONFIRMED_BY_PERSON: "A person confirmed it.",
    Reason.CORRECTED_BY_PERSON: "A person corrected it.",
    Reason.NOT_A_ZIP: "A person found no ZIP here.",
}
"""Explanation of each reason in a row."""

NOT_OPENED = frozenset({Reason.TIMEOUT, Reason.OUT_OF_MEMORY, Reason.WORKER_DIED})
"""Reasons of pages that might hang or crash this process, too; they are not opened again."""

NOT_READ_AGAIN = NOT_OPENED | {Reason.PROGRAM_ERROR}
"""Reasons of pages that are at most shown, but not read again."""
