"""The one exception: everything a person needs is in its text."""

import pytest
from constructs import Construct

from code_family_constructs import ConfigurationError
from tests.helpers import a_stack


def test_message_says_what_is_wrong_where_and_what_to_type():
    error = ConfigurationError("port=0", at="Shop/Fleet", fix="use a port from 1 to 65535")
    assert str(error) == "port=0\n  at   Shop/Fleet\n  fix  use a port from 1 to 65535"


def test_a_construct_is_named_by_its_path():
    error = ConfigurationError("port=0", at=Construct(a_stack(), "Fleet"), fix="use 80")
    assert (error.problem, error.path, error.fix) == ("port=0", "Shop/Fleet", "use 80")


def test_callers_that_know_nothing_of_the_library_catch_a_value_error():
    with pytest.raises(ValueError, match="use 80"):
        raise ConfigurationError("port=0", at="Fleet", fix="use 80")
