"""Takes orders: puts each into the queue that the infrastructure repository makes."""

import json
import os
from pathlib import Path
from typing import Any

import boto3

# Written by the build; a checkout has none.
RELEASE_FILE = Path(__file__).with_name("release.txt")
RELEASE = RELEASE_FILE.read_text(encoding="utf-8").strip() if RELEASE_FILE.exists() else "local-0"


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers with the id of the order."""
    article, count = event.get("article"), event.get("count", 1)
    if not isinstance(article, str) or not isinstance(count, int) or not 1 <= count <= 100:
        return {"accepted": False, "message": "An order has an article, and a count from 1 to 100.", "release": RELEASE}
    order = json.dumps({"article": article, "count": count})
    queue = boto3.client("sqs")
    url = queue.get_queue_url(QueueName=os.environ["QUEUE"])["QueueUrl"]
    sent = queue.send_message(QueueUrl=url, MessageBody=order)
    return {"accepted": True, "order": sent["MessageId"], "release": RELEASE}
