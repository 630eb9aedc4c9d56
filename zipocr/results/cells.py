r"""Text as cells of a CSV file.

Every text stays distinct from every other, fits on one line of valid UTF-8, and is not mistaken for
a formula by a spreadsheet:

- Bytes of a file name that are not UTF-8, and control characters, become ``\xNN``; other surrogates
  ``\uNNNN``; a backslash is doubled.
- A text that begins with ``=``, ``+``, ``-``, ``@`` (also in their full-width forms), a tab, a line
  end or ``./`` is prefixed with ``./``.

`from_cell` is the exact inverse of `to_cell`.
"""

import re

_FORMULA_STARTS = (*"=+-@\t\r\n", *"＝＋－＠")  # noqa: RUF001 - full-width forms
_TO_ESCAPE = re.compile("[\\\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4}))")
_UNDECODED = 0xDC00
_FIRST_UNDECODED = 0x80


def to_cell(text: str) -> str:
    r"""Format a text as a cell; see the module's description.

    Examples
    --------
    >>> to_cell("=x.png"), to_cell("a/b.png")
    ('./=x.png', 'a/b.png')
    >>> print(to_cell("\udcff.png"))
    \xff.png
    """
    prefix = "./" if text.startswith((*_FORMULA_STARTS, "./")) else ""
    return prefix + _TO_ESCAPE.sub(_escape, text)


def from_cell(cell: str) -> str:
    """Restore the text that `to_cell` formatted.

    Examples
    --------
    >>> from_cell("./=x.png")
    '=x.png'
    """
    return _ESCAPED.sub(_unescape, cell.removeprefix("./"))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\\":
        return r"\\"
    if _UNDECODED + _FIRST_UNDECODED <= code <= _UNDECODED + 0xFF:
        return rf"\x{code - _UNDECODED:02x}"
    return rf"\x{code:02x}" if code < _FIRST_UNDECODED else rf"\u{code:04x}"


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        code = int(match[1], 16)
        return chr(code + _UNDECODED if code >= _FIRST_UNDECODED else code)
    return chr(int(match[2], 16)) if match[2] else "\\"
