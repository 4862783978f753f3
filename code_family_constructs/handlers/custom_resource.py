"""Answers CloudFormation for a custom resource, whatever happens."""

import json
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

# CloudFormation takes 4096 bytes of answer, and a character of ASCII can be six of them.
LONGEST_REASON = 500


def answer(event: dict[str, Any], physical_id: str, work: Callable[[], Mapping[str, str]]) -> None:
    """Does the work, and tells CloudFormation how it went.

    Args:
        event: What CloudFormation sent.
        physical_id: Id of the resource, the same for each event about it; another one is a replacement.
        work: Returns what `Fn::GetAtt` gives; an exception is the reason of a failure.
    """
    status, reason, data = "SUCCESS", "done", dict[str, str]()
    try:
        data = dict(work())
    except Exception as error:
        status, reason = "FAILED", f"{type(error).__name__}: {error}"
    print(event["RequestType"], physical_id, status, reason)
    body = {
        "Status": status,
        "Reason": reason.encode("ascii", "replace").decode()[:LONGEST_REASON],
        "PhysicalResourceId": physical_id,
        "Data": data,
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
    }
    # S3's presigned URL was signed without a content type.
    request = urllib.request.Request(
        event["ResponseURL"], data=json.dumps(body).encode(), method="PUT", headers={"Content-Type": ""}
    )
    with urllib.request.urlopen(request, timeout=30):
        pass
