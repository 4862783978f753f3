"""What the build checks before anything is deployed: python3 -m unittest discover tests."""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import index


class Greeting(unittest.TestCase):
    def ask(self, **parameters: str) -> tuple[int, dict[str, str]]:
        # API Gateway sends null where there are no parameters.
        response = index.handler({"queryStringParameters": parameters or None}, None)
        return response["statusCode"], json.loads(response["body"])

    def test_greets_by_name(self) -> None:
        assert self.ask(name="Ada") == (200, {"message": "Hello, Ada!", "release": index.RELEASE})

    def test_greets_who_gives_no_name(self) -> None:
        assert self.ask()[1]["message"] == "Hello, world!"

    def test_takes_any_characters(self) -> None:
        assert self.ask(name='Ünï "x" <b>')[1]["message"] == 'Hello, Ünï "x" <b>!'

    def test_refuses_a_name_that_is_too_long(self) -> None:
        assert self.ask(name="x" * 101)[0] == 400


if __name__ == "__main__":
    unittest.main()
