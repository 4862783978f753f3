"""What the build asks before there is a release; `python3 -m unittest discover tests` runs it."""

import json
import os
import sys
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

# Neither Lambda's machine nor its SDK is needed to test what the function decides.
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.modules["boto3"] = mock.MagicMock()

import index  # noqa: E402 - after the lines that make it importable


class Handler(unittest.TestCase):
    """Orders, right and wrong."""

    def setUp(self) -> None:
        self.queue = index.boto3.client.return_value
        self.queue.reset_mock()
        self.queue.send_message.return_value = {"MessageId": "m-1"}
        self.enterContext(mock.patch.dict(os.environ, {"QUEUE": "orders"}))

    def answer(self, event: dict[str, Any]) -> dict[str, Any]:
        """What the function answers, without the release."""
        answered: dict[str, Any] = index.handler(event, None)
        assert answered.pop("release") == index.RELEASE
        return answered

    def test_puts_an_order_into_the_queue(self) -> None:
        assert self.answer({"article": "tea", "count": 2}) == {"accepted": True, "order": "m-1"}
        self.queue.get_queue_url.assert_called_once_with(QueueName="orders")
        sent = self.queue.send_message.call_args.kwargs
        assert json.loads(sent["MessageBody"]) == {"article": "tea", "count": 2}

    def test_takes_one_when_nobody_says_how_many(self) -> None:
        assert self.answer({"article": "tea"})["accepted"]
        assert '"count": 1' in self.queue.send_message.call_args.kwargs["MessageBody"]

    def test_refuses_what_is_no_order(self) -> None:
        for event in ({}, {"article": 7}, {"article": "tea", "count": 0}, {"article": "tea", "count": "two"}):
            with self.subTest(event=event):
                assert not self.answer(event)["accepted"]
        self.queue.send_message.assert_not_called()


if __name__ == "__main__":
    unittest.main()
