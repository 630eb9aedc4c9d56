"""From which confidence a ZIP counts as read.

Thresholds that come with the model, each with the share of errors it keeps to.
"""

from zipocr.errors import ModelError
from zipocr.types import Model


def acceptance_threshold(model: Model, max_error: float, *, use_directory: bool) -> float:
    """Looks up the threshold for a share of errors.

    Parameters
    ----------
    model : Model
        Its tables hold a threshold for each of a few shares; they are made apart for reading with
        and without a directory.
    max_error : float
        Largest share of wrong ZIPs among the accepted, above 0. Between two rows of the table the
        stricter one counts.
    use_directory : bool
        Whether a directory takes part in reading.

    Returns
    -------
    float
        The least confidence, 0 to 1, with four decimals as the rows show it.

    Raises
    ------
    ModelError
        When the model cannot promise so little. Accepting nothing would keep the promise too, but
        whoever reads a day's mail should not learn in the evening that all of it went to review.
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
