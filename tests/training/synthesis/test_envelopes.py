from dataclasses import replace

import numpy as np

from zipocr.training.synthesis.envelopes import EnvelopeComposer


def test_a_string_is_what_stands_on_an_envelope_by_one_hand(all_digits):
    digits = all_digits.take(np.arange(len(all_digits)) < 15)
    mail = replace(digits, writers=np.repeat(np.array([7, 9, 8], np.int32), 5))
    composer = EnvelopeComposer(mail, seed=3)
    spelt = ["".join(map(str, mail.labels[mail.writers == writer])) for writer in (7, 8, 9)]
    written = [composer.nth(number) for number in range(6)]
    assert [one.text for one in written] == spelt * 2
    assert [one.writer for one in written] == [7, 8, 9] * 2
    assert not np.array_equal(written[0].image, written[3].image)
