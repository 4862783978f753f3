"""What the build checks before there is an image: python3 -m unittest discover tests."""

import json
import sys
import threading
import unittest
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1]))

import server


class Greeting(unittest.TestCase):
    def setUp(self) -> None:
        self.server = server.Server(("127.0.0.1", 0), server.Greeter)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def tearDown(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def ask(self, path: str) -> tuple[int, dict[str, str]]:
        connection = HTTPConnection("127.0.0.1", self.server.server_port, timeout=5)
        connection.request("GET", path)
        response = connection.getresponse()
        body = json.load(response)
        connection.close()
        return response.status, body

    def test_greets_by_name(self) -> None:
        assert self.ask("/?name=Ada") == (200, {"message": "Hello, Ada!", "release": server.Greeter.release})

    def test_greets_who_gives_no_name(self) -> None:
        """As the load balancer's health check does."""
        status, body = self.ask("/")
        assert (status, body["message"]) == (200, "Hello, world!")

    def test_takes_any_characters(self) -> None:
        name = 'Ünï "x" <b>'
        assert self.ask(f"/?name={quote(name)}")[1]["message"] == f"Hello, {name}!"

    def test_refuses_a_name_that_is_too_long(self) -> None:
        assert self.ask(f"/?name={'x' * 101}")[0] == 400

    def test_has_one_page(self) -> None:
        assert self.ask("/admin")[0] == 404


if __name__ == "__main__":
    unittest.main()
