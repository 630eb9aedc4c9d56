import pickle

import pytest

from zipocr.errors import BackendError, ExitCode, InputError, ModelError, OutputError, ZipocrError


def test_every_error_class_is_listed_here() -> None:
    assert set(ZipocrError.__subclasses__()) == {InputError, ModelError, OutputError, BackendError}


@pytest.mark.parametrize("kind", [ZipocrError, *ZipocrError.__subclasses__()])
def test_errors_survive_being_pickled_by_a_worker(kind: type[ZipocrError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what to do")))
    assert type(error) is kind
    assert str(error) == "what to do"
    assert error.exit_code is kind.exit_code


def test_every_error_class_has_its_own_exit_code() -> None:
    codes = [kind.exit_code for kind in ZipocrError.__subclasses__()]
    assert len(set(codes)) == len(codes)
    assert not {ExitCode.DONE, ExitCode.SOME_INPUTS_FAILED, ExitCode.USAGE} & set(codes)
