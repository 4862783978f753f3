"""Deleting in the wrong order is refused where AWS refuses it; ministack's stacks delete most things regardless.

The EC2 refusals hold for the API as well as for stacks. ministack itself refuses for VPCs, keys and log groups.
"""

from collections.abc import Callable, Iterator
from typing import Any
from xml.sax.saxutils import escape

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import CallError, Json, call, new_id
from code_family_constructs.local.listeners import all_actions

Users = Callable[[str], Iterator[str]]
"""Returns what holds a resource, each as the reason for the refusal."""


def _users_of_role(name: str, properties: Json) -> Iterator[str]:
    # What the template itself attached goes along with the role.
    for policy in _listed("list_attached_role_policies", "AttachedPolicies", RoleName=name):
        if policy["PolicyArn"] not in properties.get("ManagedPolicyArns", []):
            yield f"Cannot delete entity, must detach all policies first: {policy['PolicyArn']} is attached"
    inline = [policy["PolicyName"] for policy in properties.get("Policies", [])]
    for policy in _listed("list_role_policies", "PolicyNames", RoleName=name):
        if policy not in inline:
            yield f"Cannot delete entity, must delete policies first: {policy}"
    for profile in _listed("list_instance_profiles_for_role", "InstanceProfiles", RoleName=name):
        yield (
            "Cannot delete entity, must remove roles from instance profile first: "
            f"{name} is in {profile['InstanceProfileName']}"
        )


def _users_of_managed_policy(policy: str, properties: Json) -> Iterator[str]:
    attached = _listed("list_entities_for_policy", None, PolicyArn=policy)
    for kind in ("Role", "User", "Group"):
        for entity in attached.get(f"Policy{kind}s", []):
            if entity[f"{kind}Name"] not in properties.get(f"{kind}s", []):
                yield f"Cannot delete a policy attached to entities: {entity[f'{kind}Name']}"


def _users_of_target_group(target_group: str, properties: Json) -> Iterator[str]:
    if any(target_group in str(actions) for actions in all_actions()):
        yield f"Target group '{target_group}' is currently in use by a listener or a rule"


def _listed(operation: str, key: str | None, **parameters: Any) -> Any:
    # CloudFormation takes what is missing for deleted.
    try:
        answer = call("iam", operation, **parameters)
    except CallError as error:
        if error.code != "NoSuchEntity":
            raise
        return [] if key else {}
    return answer[key] if key else answer


def _users_of_security_group(group: str) -> Iterator[str]:
    for other in call("ec2", "describe_security_groups")["SecurityGroups"]:
        permissions = [*other["IpPermissions"], *other["IpPermissionsEgress"]]
        pairs = [pair["GroupId"] for item in permissions for pair in item.get("UserIdGroupPairs", [])]
        if group in pairs and other["GroupId"] != group:
            yield f"security group {other['GroupId']}"
    for balancer in call("elbv2", "describe_load_balancers")["LoadBalancers"]:
        if group in balancer.get("SecurityGroups", []):
            yield f"load balancer {balancer['LoadBalancerName']}"
    for endpoint in call("ec2", "describe_vpc_endpoints")["VpcEndpoints"]:
        if group in [item["GroupId"] for item in endpoint.get("Groups", [])]:
            yield f"VPC endpoint {endpoint['VpcEndpointId']}"
    for interface in call("ec2", "describe_network_interfaces")["NetworkInterfaces"]:
        if group in [item["GroupId"] for item in interface.get("Groups", [])]:
            yield f"network interface {interface['NetworkInterfaceId']}"


def _users_of_subnet(subnet: str) -> Iterator[str]:
    for gateway in _nat_gateways():
        if gateway["SubnetId"] == subnet:
            yield f"NAT gateway {gateway['NatGatewayId']}"
    for balancer in call("elbv2", "describe_load_balancers")["LoadBalancers"]:
        if subnet in [zone.get("SubnetId") for zone in balancer.get("AvailabilityZones", [])]:
            yield f"load balancer {balancer['LoadBalancerName']}"
    for interface in call("ec2", "describe_network_interfaces")["NetworkInterfaces"]:
        if interface.get("SubnetId") == subnet:
            yield f"network interface {interface['NetworkInterfaceId']}"


def _users_of_internet_gateway(gateway: str) -> Iterator[str]:
    for found in call("ec2", "describe_internet_gateways")["InternetGateways"]:
        if found["InternetGatewayId"] == gateway:
            yield from (f"VPC {item['VpcId']}" for item in found.get("Attachments", []))


def _users_of_route_table(table: str) -> Iterator[str]:
    for found in call("ec2", "describe_route_tables")["RouteTables"]:
        if found["RouteTableId"] == table:
            yield from (f"subnet {item['SubnetId']}" for item in found["Associations"] if item.get("SubnetId"))


def _users_of_vpc(vpc: str) -> Iterator[str]:
    for gateway in _nat_gateways():
        if gateway["VpcId"] == vpc:
            yield f"NAT gateway {gateway['NatGatewayId']}"
    for endpoint in call("ec2", "describe_vpc_endpoints")["VpcEndpoints"]:
        if endpoint["VpcId"] == vpc:
            yield f"VPC endpoint {endpoint['VpcEndpointId']}"
    for table in call("ec2", "describe_route_tables")["RouteTables"]:
        if table["VpcId"] == vpc and not any(item.get("Main") for item in table["Associations"]):
            yield f"route table {table['RouteTableId']}"


def _nat_gateways() -> list[Json]:
    gateways = call("ec2", "describe_nat_gateways")["NatGateways"]
    return [gateway for gateway in gateways if gateway["State"] != "deleted"]


_EC2: dict[str, tuple[str, str, Users]] = {
    "AWS::EC2::SecurityGroup": ("DeleteSecurityGroup", "GroupId", _users_of_security_group),
    "AWS::EC2::Subnet": ("DeleteSubnet", "SubnetId", _users_of_subnet),
    "AWS::EC2::InternetGateway": ("DeleteInternetGateway", "InternetGatewayId", _users_of_internet_gateway),
    "AWS::EC2::RouteTable": ("DeleteRouteTable", "RouteTableId", _users_of_route_table),
    "AWS::EC2::VPC": ("DeleteVpc", "VpcId", _users_of_vpc),
}

_OTHERS: dict[str, tuple[str, Callable[[str, Json], Iterator[str]]]] = {
    "AWS::IAM::Role": ("DeleteConflict", _users_of_role),
    "AWS::IAM::ManagedPolicy": ("DeleteConflict", _users_of_managed_policy),
    "AWS::ElasticLoadBalancingV2::TargetGroup": ("ResourceInUse", _users_of_target_group),
}


def _refuse_in_stacks(type_name: str, code: str, users: Callable[[str, Json], Iterator[str]]) -> None:
    handler = _ministack.resource_handlers[type_name]
    delete = handler["delete"]

    def refuse_or_delete(physical_id: str, properties: Json) -> None:
        reason = next(users(physical_id, properties), None)
        if reason:
            raise ValueError(f"{reason} (Error Code: {code})")
        delete(physical_id, properties)

    handler["delete"] = refuse_or_delete


def _refuse_in_api(action: str, key: str, users: Users) -> None:
    delete = _ministack.ec2_actions[action]

    def refuse_or_delete(parameters: Json) -> Any:
        reason = next(users(parameters.get(key, [""])[0]), None)
        if not reason:
            return delete(parameters)
        error = f"<Error><Code>DependencyViolation</Code><Message>{escape(reason)}</Message></Error>"
        body = f"<Response><Errors>{error}</Errors><RequestID>{new_id()}</RequestID></Response>"
        return 400, {"Content-Type": "text/xml"}, body.encode()

    _ministack.ec2_actions[action] = refuse_or_delete


for _type, (_action, _key, _users) in _EC2.items():
    _refuse_in_stacks(_type, "DependencyViolation", lambda physical_id, _, users=_users: users(physical_id))  # type: ignore[misc]
    _refuse_in_api(_action, _key, _users)
for _type, (_code, _users_of) in _OTHERS.items():
    _refuse_in_stacks(_type, _code, _users_of)
