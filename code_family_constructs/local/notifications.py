"""AWS CodeStar Notifications rules; nothing is ever sent."""

import time
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import (
    Api,
    ApiError,
    Json,
    ResourceType,
    arn,
    call,
    lookup,
    new_id,
    require,
    resource_type,
    to_parameters,
    without,
)

rules: Any = _ministack.Scoped()
"""Rule ARN → the rule as DescribeNotificationRule reports it."""

api = Api("codestar-notifications")


@api.operation
def create_notification_rule(request: Json) -> Json:
    if request["Name"] in [rule["Name"] for rule in rules.values()]:
        raise ApiError("ResourceAlreadyExistsException", f"A notification rule named {request['Name']} exists already")
    rule_arn = arn("codestar-notifications", f"notificationrule/{new_id()}")
    rules[rule_arn] = {
        "Status": "ENABLED",
        "Tags": {},
        **_as_reported(request),
        "Arn": rule_arn,
        "CreatedTimestamp": time.time(),
        "LastModifiedTimestamp": time.time(),
    }
    return {"Arn": rule_arn}


@api.operation
def describe_notification_rule(request: Json) -> Json:
    return _rule(request["Arn"])


@api.operation
def list_notification_rules(request: Json) -> Json:
    return {
        "NotificationRules": [{"Id": item["Arn"].rpartition("/")[2], "Arn": item["Arn"]} for item in rules.values()]
    }


@api.operation
def update_notification_rule(request: Json) -> None:
    _rule(request["Arn"]).update(_as_reported(request), LastModifiedTimestamp=time.time())


@api.operation
def delete_notification_rule(request: Json) -> Json:
    rules.pop(request["Arn"], None)
    return {"Arn": request["Arn"]}


@api.operation
def list_tags_for_resource(request: Json) -> Json:
    return {"Tags": _rule(request["Arn"])["Tags"]}


@resource_type("AWS::CodeStarNotifications::NotificationRule")
class NotificationRule(ResourceType):
    replaced_by = ("Resource",)
    name_property = "Name"
    tags = "map"
    unread = ("EventTypeIds", "EventTypeId", "TargetAddress", "CreatedBy")

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        parameters = to_parameters("codestar-notifications", "create_notification_rule", self._combined(properties))
        rule_arn = call("codestar-notifications", "create_notification_rule", **parameters)["Arn"]
        return rule_arn, {"Arn": rule_arn}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        changed = {**without(self._combined(new), "Resource", "Tags", "CreatedBy"), "Arn": physical_id}
        parameters = to_parameters("codestar-notifications", "update_notification_rule", changed)
        call("codestar-notifications", "update_notification_rule", **parameters)
        _rule(physical_id)["Tags"] = dict(new.get("Tags", {}))
        return {"Arn": physical_id}

    def delete(self, physical_id: str, properties: Json) -> None:
        call("codestar-notifications", "delete_notification_rule", Arn=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        return lookup(rules, physical_id)

    def _combined(self, properties: Json) -> Json:
        # CreatedBy exists in the template only; AWS fills it in.
        combined = without(properties, "EventTypeId", "TargetAddress", "CreatedBy")
        if "EventTypeId" in properties:
            combined["EventTypeIds"] = [*combined.get("EventTypeIds", []), properties["EventTypeId"]]
        if "TargetAddress" in properties:
            target = {"TargetAddress": properties["TargetAddress"], "TargetType": "SNS"}
            combined["Targets"] = [*combined.get("Targets", []), target]
        return combined


def _as_reported(request: Json) -> Json:
    reported = without(request, "EventTypeIds", "ClientRequestToken")
    if "EventTypeIds" in request:
        reported["EventTypes"] = [{"EventTypeId": item} for item in request["EventTypeIds"]]
    if "Targets" in request:
        reported["Targets"] = [{**target, "TargetStatus": "ACTIVE"} for target in request["Targets"]]
    return reported


def _rule(rule_arn: str) -> Json:
    return require(rules, rule_arn, "ResourceNotFoundException", f"The notification rule {rule_arn} does not exist")
