"""Names of roles and managed policies are taken in all regions of an account: a stack that wants one fails.

ministack's stacks put the new one in its place; its API refuses by itself.
"""

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import CallError, Json, call


def refuse_taken(type_name: str, key: str) -> None:
    """Have the creation of a type fail when something has the custom name already."""
    handler = _ministack.resource_handlers[type_name]
    create = handler["create"]

    def refuse_or_create(logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = properties.get(key)
        if name and _exists(key, name, properties.get("Path") or "/"):
            raise ValueError(f"Resource of type '{type_name}' with identifier '{name}' already exists.")
        created: tuple[str, Json] = create(logical_id, properties, stack)
        return created

    handler["create"] = refuse_or_create


for _type, _key in (("AWS::IAM::Role", "RoleName"), ("AWS::IAM::ManagedPolicy", "ManagedPolicyName")):
    refuse_taken(_type, _key)


def _exists(key: str, name: str, path: str) -> bool:
    try:
        if key == "RoleName":
            call("iam", "get_role", RoleName=name)
        else:
            call("iam", "get_policy", PolicyArn=f"arn:aws:iam::{_ministack.account_id()}:policy{path}{name}")
    except CallError as error:
        if error.code != "NoSuchEntity":
            raise
        return False
    return True
