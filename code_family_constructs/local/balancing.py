"""The VPC of a load balancer, which ministack takes from a property that no template has.

Its zones stay wrong: each subnet of a load balancer is reported in the first zone of the region.
"""

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import Json, call

_TYPE = "AWS::ElasticLoadBalancingV2::LoadBalancer"
_create = _ministack.resource_handlers[_TYPE]["create"]


def create_load_balancer(logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
    """Create the load balancer as ministack does, in the VPC of its first subnet."""
    subnets = properties.get("Subnets") or [item["SubnetId"] for item in properties.get("SubnetMappings", [])]
    vpcs = {subnet["SubnetId"]: subnet["VpcId"] for subnet in call("ec2", "describe_subnets")["Subnets"]}
    missing = [subnet for subnet in subnets if subnet not in vpcs]
    if missing:
        raise ValueError(f"The subnet ID '{missing[0]}' does not exist (Error Code: SubnetNotFound)")
    vpc = {"VpcId": vpcs[subnets[0]]} if subnets else {}
    created: tuple[str, Json] = _create(logical_id, {**properties, "Subnets": subnets, **vpc}, stack)
    return created


_ministack.resource_handlers[_TYPE]["create"] = create_load_balancer
