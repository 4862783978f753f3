"""Floor 1: buckets that tell EventBridge of their objects."""

from typing import Any

import jsii
from constructs import IValidation

_EVENT_BRIDGE = "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled"
# aws-cdk-lib's id for what a function of its own sets after CloudFormation has made the bucket.
_NOTIFICATIONS = "Notifications"


def notify_event_bridge(bucket: Any, resource: Any) -> None:
    """Turns the notifications for EventBridge on.

    Args:
        bucket: A bucket of this app.
        resource: Its L1.
    """
    if bucket.node.try_find_child(_NOTIFICATIONS) is not None:
        # That function sets the notifications of the bucket as a whole.
        bucket.enable_event_bridge_notification()
    else:
        resource.add_property_override(_EVENT_BRIDGE, True)
        bucket.node.add_validation(_StillNotifies(bucket))


@jsii.implements(IValidation)
class _StillNotifies:
    """Notifications that come later are set as a whole, without EventBridge: no upload would start anything."""

    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket

    def validate(self) -> list[str]:
        if self._bucket.node.try_find_child(_NOTIFICATIONS) is None:
            return []
        return [
            "notifications were added after the pipeline whose source the bucket is, and turn off those that start it; "
            "fix: add them before the pipeline, or make the bucket with event_bridge_enabled=True"
        ]
