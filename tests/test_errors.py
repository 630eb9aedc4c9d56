import pickle

import pytest

from zipocr.errors import BackendError, ExitCode, InputError, ModelError, OutputError, ZipocrError


def test_every_error_is_known_here() -> None:
    assert set(ZipocrError.__subclasses__()) == {InputError, ModelError, OutputError, BackendError}


@pytest.mark.parametrize("kind", [ZipocrError, *ZipocrError.__subclasses__()])
def test_errors_survive_the_way_out_of_a_worker(kind: type[ZipocrError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what to do")))
    assert type(error) is kind
    assert str(error) == "what to do"
    assert error.exit_code is kind.exit_code


def test_exit_codes_tell_kinds_apart() -> None:
    codes = [kind.exit_code for kind in ZipocrError.__subclasses__()]
    assert len(set(codes)) == len(codes)
    assert not {ExitCode.DONE, ExitCode.SOME_INPUTS_FAILED, ExitCode.USAGE} & set(codes)
