"""What a handler talks to: services whose calls botocore checks, CloudFormation's answer box, Lambda's clock."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.validate import validate_parameters

PLENTY = 900_000


class Refused(Exception):  # noqa: N818
    """An error that the service answers with."""

    def __init__(self, code: str, status: int = 400, message: str | None = None) -> None:
        super().__init__(code)
        self.code, self.status, self.message = code, status, message


class Service:
    """A service behind a real boto3 client: its service model checks what is asked and what is answered.

    A subclass has a method for each operation, called as in the API: `def GetBucketPolicy(self, asked)`.

    Attributes:
        calls: Operation and parameters of each call so far.
        refusals: Operation → errors to answer the next calls with.
    """

    def __init__(self, name: str) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refusals: dict[str, list[Refused]] = {}
        self.client: Any = boto3.client(
            name,
            "eu-west-1",
            aws_access_key_id="id",
            aws_secret_access_key="secret",
        )
        prefix = self.client.meta.service_model.service_id.hyphenize()
        events = self.client.meta.events
        events.register_last(f"before-parameter-build.{prefix}", self._remember)
        events.register(f"before-call.{prefix}", self._answer)

    def names(self) -> list[str]:
        """Operations called so far."""
        return [name for name, _ in self.calls]

    def _remember(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["asked"] = dict(params)

    def _answer(self, model: Any, context: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        asked = context["asked"]
        self.calls.append((model.name, asked))
        status = 200
        try:
            if self.refusals.get(model.name):
                raise self.refusals[model.name].pop(0)
            answer = self.answer(model.name, asked) or {}
            if model.output_shape is not None:
                validate_parameters(answer, model.output_shape)
        except Refused as refused:
            status = refused.status
            message = refused.message or f"said {self.client.meta.service_model.service_name} to {model.name}"
            answer = {"Error": {"Code": refused.code, "Message": message}}
        response = AWSResponse(None, status, {}, None)
        return response, {**answer, "ResponseMetadata": {"HTTPStatusCode": status}}

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        result: dict[str, Any] | None = getattr(self, operation)(asked)
        return result


class CloudFormation:
    """Where answers go: remembers each request, and answers with `status`."""

    def __init__(self) -> None:
        self.requests: list[tuple[Any, ...]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.command, self.path, self.headers, body))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_POST = do_GET = handle_any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/answer?X-Amz-Signature=a%2Fb&X-Amz-Expires=7200"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def answers(self) -> list[Any]:
        return [json.loads(body) for _, _, _, body in self.requests]


class Context:
    """Lambda's: the time that is left goes from one value to the next with each look at it, and stays at the last."""

    def __init__(self, *left: int, partition: str = "aws", function_name: str = "Function") -> None:
        self._left = list(left) or [PLENTY]
        self.function_name = function_name
        self.aws_request_id = "0a1b2c"
        self.invoked_function_arn = f"arn:{partition}:lambda:eu-west-1:111122223333:function:{function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]
