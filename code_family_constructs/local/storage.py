"""The bucket properties that ministack's CloudFormation drops: it keeps them when they come by the API, so they do.

Not modelled on a bucket: anything that is neither here nor one of ministack's own (CORS, public access block, website,
notifications, versioning); such a property is refused by name.
"""

import re
from collections.abc import Callable
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import CallError, Json, arn, call, to_parameters, upper_tags

_BY_MINISTACK = {
    "BucketName",
    "CorsConfiguration",
    "NotificationConfiguration",
    "PublicAccessBlockConfiguration",
    "VersioningConfiguration",
    "WebsiteConfiguration",
}

_create = _ministack.resource_handlers["AWS::S3::Bucket"]["create"]
_update = _ministack.resource_handlers["AWS::S3::Bucket"]["update"]
_delete = _ministack.resource_handlers["AWS::S3::Bucket"]["delete"]


def create_bucket(logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
    """Create the bucket as ministack does, then set the rest by the API."""
    _refuse_unknown(properties)
    created: tuple[str, Json] = _create(logical_id, properties, stack)
    try:
        _put(created[0], {}, properties)
    except ValueError:
        # CloudFormation rolls back resources that were made; this one was, although its handler failed.
        _delete(created[0], properties)
        raise
    return created


def update_bucket(physical_id: str, old: Json, new: Json, stack: str) -> tuple[str, Json]:
    """Change the bucket in place; a property that left the template is deleted by the API."""
    _refuse_unknown(new)
    updated: tuple[str, Json] = _update(physical_id, old, new, stack)
    _put(updated[0], old if updated[0] == physical_id else {}, new)
    if old.get("VersioningConfiguration") and not new.get("VersioningConfiguration"):
        call("s3", "put_bucket_versioning", Bucket=physical_id, VersioningConfiguration={"Status": "Suspended"})
    return updated


def delete_bucket(physical_id: str, properties: Json) -> None:
    """Delete the bucket by the API, which refuses one that holds objects, versions or delete markers."""
    try:
        call("s3", "delete_bucket", Bucket=physical_id)
    except CallError as error:
        if error.code != "NoSuchBucket":
            raise
    _delete(physical_id, properties)


_ministack.resource_handlers["AWS::S3::Bucket"].update(create=create_bucket, update=update_bucket, delete=delete_bucket)
_ministack.stack_tag_properties["AWS::S3::Bucket"] = ("Tags", "list")

_handle = _ministack.api_handlers["s3"]


async def handle(method: str, path: str, headers: Json, body: bytes, query: Json) -> Any:
    """Answer as ministack does, which has no AWS managed key for a PUT with aws:kms and no key."""
    if headers.get("x-amz-server-side-encryption") == "aws:kms":
        headers = {"x-amz-server-side-encryption-aws-kms-key-id": arn("kms", "alias/aws/s3"), **headers}
    return await _handle(method, path, headers, body, query)


_ministack.api_handlers["s3"] = handle


def _encryption(value: Any) -> Json:
    rules = [
        {
            "ApplyServerSideEncryptionByDefault": rule.get("ServerSideEncryptionByDefault"),
            **{key: rule[key] for key in ("BucketKeyEnabled", "BlockedEncryptionTypes") if key in rule},
        }
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def _lifecycle(value: Any) -> Json:
    return {"LifecycleConfiguration": {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}}


def _lifecycle_rule(rule: Json) -> Json:
    rule = dict(rule)
    converted: Json = {"ID": rule.pop("Id", None), "Status": rule.pop("Status")}
    expiration = {
        target: rule.pop(key)
        for key, target in (
            ("ExpirationInDays", "Days"),
            ("ExpirationDate", "Date"),
            ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
        )
        if key in rule
    }
    if expiration:
        converted["Expiration"] = expiration
    transitions = [*rule.pop("Transitions", []), *([rule.pop("Transition")] if "Transition" in rule else [])]
    if transitions:
        converted["Transitions"] = [_days(item, "TransitionInDays", "TransitionDate") for item in transitions]
    if "NoncurrentVersionExpirationInDays" in rule:
        converted["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule.pop("NoncurrentVersionExpirationInDays")}
    if "NoncurrentVersionTransitions" in rule:
        moved = rule.pop("NoncurrentVersionTransitions")
        converted["NoncurrentVersionTransitions"] = [
            {("NoncurrentDays" if key == "TransitionInDays" else key): value for key, value in item.items()}
            for item in moved
        ]
    conditions: Json = {
        key: rule.pop(key) for key in ("Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan") if key in rule
    }
    tags = rule.pop("TagFilters", [])
    if len(conditions) + len(tags) > 1:
        converted["Filter"] = {"And": {**conditions, **({"Tags": tags} if tags else {})}}
    else:
        converted["Filter"] = conditions or ({"Tag": tags[0]} if tags else {"Prefix": ""})
    return {**converted, **rule}


def _days(item: Json, days: str, date: str) -> Json:
    names = {days: "Days", date: "Date"}
    return {names.get(key, key): value for key, value in item.items()}


def _logging(value: Any) -> Json:
    # Without a destination AWS logs into the bucket itself; templates of the CDK always name one.
    enabled = {"TargetBucket": value["DestinationBucketName"], "TargetPrefix": value.get("LogFilePrefix", "")}
    if "TargetObjectKeyFormat" in value:
        enabled["TargetObjectKeyFormat"] = value["TargetObjectKeyFormat"]
    return {"BucketLoggingStatus": {"LoggingEnabled": enabled}}


def _tagging(value: Any) -> Json:
    return {"Tagging": {"TagSet": upper_tags({"Tags": value})}}


def _acl(value: Any) -> Json:
    return {"ACL": re.sub(r"(?<!^)(?=[A-Z])", "-", value).lower()}


_BY_API: dict[str, tuple[str, str, Callable[[Any], Json]]] = {
    "BucketEncryption": ("put_bucket_encryption", "delete_bucket_encryption", _encryption),
    "LifecycleConfiguration": ("put_bucket_lifecycle_configuration", "delete_bucket_lifecycle", _lifecycle),
    "LoggingConfiguration": ("put_bucket_logging", "", _logging),
    "OwnershipControls": (
        "put_bucket_ownership_controls",
        "delete_bucket_ownership_controls",
        lambda value: {"OwnershipControls": value},
    ),
    # After the ownership, which forbids an ACL by default. Private is what a bucket without one is.
    "AccessControl": ("put_bucket_acl", "", _acl),
    "Tags": ("put_bucket_tagging", "delete_bucket_tagging", _tagging),
}

_RESET: dict[str, Json] = {"AccessControl": {"ACL": "private"}, "LoggingConfiguration": {"BucketLoggingStatus": {}}}


def _refuse_unknown(properties: Json) -> None:
    for key in properties:
        if key not in _BY_MINISTACK and key not in _BY_API:
            raise ValueError(f"#: the embedded endpoint does not model {key} of AWS::S3::Bucket")


def _put(bucket: str, old: Json, new: Json) -> None:
    for key, (put, delete, convert) in _BY_API.items():
        if key == "AccessControl" and new.get(key) == old.get(key, "Private"):
            continue
        if key in new:
            call("s3", put, **to_parameters("s3", put, {"Bucket": bucket, **convert(new[key])}))
        elif key in old and delete:
            call("s3", delete, Bucket=bucket)
        elif key in old:
            call("s3", put, Bucket=bucket, **_RESET[key])
