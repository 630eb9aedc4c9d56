from pathlib import Path

import corpus
import numpy as np
import pytest
from PIL import Image

from zipocr.errors import OutputError
from zipocr.images.encode import write_png

PAPER, PAGE = corpus.PAPER, corpus.draw_page()


def test_pictures_are_written_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "Grüße 日本.png"
    picture = np.dstack([PAGE, PAGE, PAPER - PAGE])
    write_png(path, picture)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image)[..., ::-1], picture)


def test_a_picture_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Cannot make the folder"):
        write_png(tmp_path / "file" / "x.png", PAGE)
