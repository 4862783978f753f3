"""Greets whoever asks, and says which release does."""

import json
from pathlib import Path
from typing import Any

# Written by the build; a checkout has none.
RELEASE_FILE = Path(__file__).with_name("release.txt")
RELEASE = RELEASE_FILE.read_text(encoding="utf-8").strip() if RELEASE_FILE.exists() else "local-0"


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers a request of API Gateway, of a function URL or of a load balancer."""
    name = (event.get("queryStringParameters") or {}).get("name", "world")
    if len(name) > 100:
        return answer(400, {"message": "That name is longer than 100 characters."})
    return answer(200, {"message": f"Hello, {name}!", "release": RELEASE})


def answer(status: int, body: dict[str, str]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store"},
        "body": json.dumps(body),
    }
