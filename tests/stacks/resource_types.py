"""What it takes to have CloudFormation make, change and delete a resource, by the schema of its type."""

from collections.abc import Collection, Mapping

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.policies import takes

# What may be about one property only, by a word in the names of its actions.
ABOUT: Mapping[str, Mapping[str, str]] = {
    "AWS::S3::Bucket": {
        "AbacStatus": "Abac",
        "AccelerateConfiguration": "Accelerate",
        "AccessControl": "PutBucketAcl",
        "AnalyticsConfigurations": "Analytics",
        "BucketEncryption": "Encryption",
        "CorsConfiguration": "CORS",
        "IntelligentTieringConfigurations": "IntelligentTiering",
        "InventoryConfigurations": "InventoryConfiguration",
        "LifecycleConfiguration": "Lifecycle",
        "LoggingConfiguration": "Logging",
        "MetadataConfiguration": "Metadata",
        "MetricsConfigurations": "Metrics",
        "NotificationConfiguration": "Notification",
        "ObjectLockConfiguration": "ObjectLock",
        "OwnershipControls": "Ownership",
        "PublicAccessBlockConfiguration": "PublicAccessBlock",
        "ReplicationConfiguration": "Replication",
        "VersioningConfiguration": "Versioning",
        "WebsiteConfiguration": "Website",
    }
}


def needed(type_: str, properties: Collection[str], resource: str) -> set[str]:
    """Actions that the type's handlers ask for, as far as AWS has them and checks them against the resource.

    Those for properties that are not given are left out; the rest is asked for whatever a template says, tags among it,
    since those of a stack go to what is in it. `list` is not among the handlers that a stack calls.

    Args:
        type_: Resource type.
        properties: Those that the template gives.
        resource: ARN of one that the template could have made.
    """
    # cfn-lint carries the schemas that AWS publishes for its resource types.
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", type_).schema
    about = ABOUT.get(type_, {})
    assert {*about, *properties} <= set(schema["properties"])
    other = [word for name, word in about.items() if name not in properties]
    return {
        action
        for handler in ("create", "read", "update", "delete")
        for action in schema["handlers"][handler]["permissions"]
        if _checked(action, resource) and not any(word in action for word in other)
    }


def _checked(action: str, resource: str) -> bool:
    try:
        return takes(action, resource)
    except KeyError:
        # A schema names some by the API's word for a call that another action allows.
        return False
