"""CloudWatch composite alarms, and the properties of an SNS topic that ministack's CloudFormation drops."""

import json
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import (
    Json,
    ResourceType,
    call,
    name_of,
    resource_type,
    to_parameters,
    upper_tags,
)


@resource_type("AWS::CloudWatch::CompositeAlarm")
class CompositeAlarm(ResourceType):
    replaced_by = ("AlarmName",)
    name_property = "AlarmName"
    # PutCompositeAlarm refuses the tags that CloudFormation adds.
    tags = None

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = name_of(properties, "AlarmName", logical_id, stack, 255)
        return name, self._put(name, properties)

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        return self._put(physical_id, new)

    def delete(self, physical_id: str, properties: Json) -> None:
        call("cloudwatch", "delete_alarms", AlarmNames=[physical_id])

    def read(self, physical_id: str, properties: Json) -> Json | None:
        answer = call("cloudwatch", "describe_alarms", AlarmNames=[physical_id], AlarmTypes=["CompositeAlarm"])
        found = answer["CompositeAlarms"]
        return found[0] if found else None

    def _put(self, name: str, properties: Json) -> Json:
        converted = {**properties, "AlarmName": name, "Tags": upper_tags(properties)}
        call("cloudwatch", "put_composite_alarm", **to_parameters("cloudwatch", "put_composite_alarm", converted))
        alarm = self.read(name, properties) or {}
        return {"Arn": alarm["AlarmArn"]}


_TOPIC_ATTRIBUTES = ("KmsMasterKeyId", "SignatureVersion", "TracingConfig", "DeliveryPolicy", "ArchivePolicy")

_create_topic = _ministack.resource_handlers["AWS::SNS::Topic"]["create"]
_update_topic = _ministack.resource_handlers["AWS::SNS::Topic"]["update"]


def create_topic(logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
    """Create the topic as ministack does, then set the rest by the API."""
    created: tuple[str, Json] = _create_topic(logical_id, properties, stack)
    _set_attributes(created[0], {}, properties)
    return created


def update_topic(physical_id: str, old: Json, new: Json, stack: str, logical_id: str | None = None) -> tuple[str, Json]:
    """Change the topic as ministack does, then the rest by the API."""
    updated: tuple[str, Json] = _update_topic(physical_id, old, new, stack, logical_id)
    _set_attributes(updated[0], old, new)
    return updated


def _set_attributes(topic: str, old: Json, new: Json) -> None:
    for name in _TOPIC_ATTRIBUTES:
        value: Any = new.get(name, "")
        if value != old.get(name, ""):
            text = json.dumps(value) if isinstance(value, dict) else str(value)
            call("sns", "set_topic_attributes", TopicArn=topic, AttributeName=name, AttributeValue=text)


_ministack.resource_handlers["AWS::SNS::Topic"].update(create=create_topic, update=update_topic)
