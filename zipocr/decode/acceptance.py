"""The confidence above which a ZIP counts as read.

The thresholds ship with the model, each with the error rate that it guarantees.
"""

from zipocr.errors import ModelError
from zipocr.types import Model


def acceptance_threshold(model: Model, max_error: float, *, use_directory: bool) -> float:
    """Look up the threshold for an error rate.

    Parameters
    ----------
    model : Model
        Holds separate tables, for reading with and without a directory, of thresholds for a few
        error rates.
    max_error : float
        Maximum share of wrong ZIPs among those accepted, above 0. Between two rows of the table,
        the stricter one applies.
    use_directory : bool
        Whether a directory is used for reading.

    Returns
    -------
    float
        The minimum confidence, 0 to 1, with four decimals as in the results.

    Raises
    ------
    ModelError
        If the model cannot guarantee so low an error rate. Accepting nothing would satisfy it too,
        but a whole day's mail should not silently end up in review.
    """
    table = model.arrays["acceptance_listed" if use_directory else "acceptance_unlisted"]
    kept = table[table[:, 0] <= max_error]
    if len(kept):
        return float(kept[-1, 1])
    way = "with a directory" if use_directory else "without a directory"
    if not len(table):
        raise ModelError(
            f"Read {way}, the model promises no share of errors at all. Choose the threshold "
            "yourself with --min-confidence."
        )
    message = (
        f"Read {way}, the model promises no less than {table[0, 0]:g} wrong among the ZIPs it "
        f"accepts, and not {max_error:g}."
    )
    raise ModelError(
        f"{message} Ask for --max-error {table[0, 0]:g}, or choose the threshold yourself with "
        "--min-confidence."
    )
