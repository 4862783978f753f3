"""What ministack's EC2 lacks for a VPC: addresses, NAT gateways, flow logs, security group rules, AMI parameters.

NAT gateways and flow logs exist in ministack's API but forget the address and the delivery; the details are kept here
and put back into what DescribeNatGateways and DescribeFlowLogs answer.
"""

import re
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import (
    CallError,
    Json,
    ResourceType,
    call,
    new_id,
    resource_type,
    to_parameters,
    upper_tags,
    without,
)

nat_addresses: Any = _ministack.Scoped()
"""NAT gateway id → the elements of its natGatewayAddressSet."""

flow_log_details: Any = _ministack.Scoped()
"""Flow log id → the elements of a flow log that ministack drops."""

_IMAGES = {"x86_64": "ami-0c2023a1b2c3d4e5f", "arm64": "ami-0c2023a1b2c3d4e60"}

_ministack.public_parameters.update(
    {
        f"/aws/service/ami-amazon-linux-latest/al2023-ami-{flavour}{kernel}-{architecture}": image
        for flavour in ("", "minimal-")
        for kernel in ("kernel-default", "kernel-6.1", "kernel-6.12")
        for architecture, image in _IMAGES.items()
    }
)


@resource_type("AWS::EC2::EIP")
class ElasticIp(ResourceType):
    replaced_by = ("Domain", "NetworkBorderGroup", "TransferAddress", "Address", "IpamPoolId")
    unread = ("InstanceId", "PublicIpv4Pool")

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        parameters = to_parameters("ec2", "allocate_address", without(properties, "Tags"))
        address = call("ec2", "allocate_address", **parameters, **_tag_specifications("elastic-ip", properties))
        return address["PublicIp"], {"PublicIp": address["PublicIp"], "AllocationId": address["AllocationId"]}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        address = _address(physical_id)
        _retag(address["AllocationId"], old, new)
        return {"PublicIp": physical_id, "AllocationId": address["AllocationId"]}

    def delete(self, physical_id: str, properties: Json) -> None:
        address = _address(physical_id)
        if address and address.get("AssociationId"):
            raise ValueError(f"The address {physical_id} is in use (Error Code: InvalidIPAddress.InUse)")
        if address:
            call("ec2", "release_address", AllocationId=address["AllocationId"])

    def read(self, physical_id: str, properties: Json) -> Json | None:
        return _address(physical_id) or None


@resource_type("AWS::EC2::NatGateway")
class NatGateway(ResourceType):
    replaced_by = ("AllocationId", "ConnectivityType", "SubnetId", "VpcId", "AvailabilityMode", "PrivateIpAddress")

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        parameters = to_parameters("ec2", "create_nat_gateway", without(properties, "Tags", "MaxDrainDurationSeconds"))
        subnets = [subnet["SubnetId"] for subnet in call("ec2", "describe_subnets")["Subnets"]]
        if parameters.get("SubnetId") not in subnets:
            raise ValueError(f"The subnet '{parameters.get('SubnetId')}' does not exist")
        if parameters.get("ConnectivityType", "public") == "public" and "AllocationId" not in parameters:
            raise ValueError("A public NAT gateway needs an AllocationId")
        association = None
        if "AllocationId" in parameters:
            association = call("ec2", "associate_address", AllocationId=parameters["AllocationId"])["AssociationId"]
        gateway = call("ec2", "create_nat_gateway", **parameters, **_tag_specifications("natgateway", properties))[
            "NatGateway"
        ]["NatGatewayId"]
        if association:
            nat_addresses[gateway] = _elements(
                allocationId=parameters["AllocationId"],
                associationId=association,
                publicIp=_allocated(parameters["AllocationId"])["PublicIp"],
                status="succeeded",
            )
        return gateway, {"NatGatewayId": gateway}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        _retag(physical_id, old, new)
        return {"NatGatewayId": physical_id}

    def delete(self, physical_id: str, properties: Json) -> None:
        if not self.read(physical_id, properties):
            return
        call("ec2", "delete_nat_gateway", NatGatewayId=physical_id)
        nat_addresses.pop(physical_id, None)
        if "AllocationId" in properties:
            association = _allocated(properties["AllocationId"]).get("AssociationId")
            if association:
                call("ec2", "disassociate_address", AssociationId=association)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        found = call("ec2", "describe_nat_gateways", NatGatewayIds=[physical_id])["NatGateways"]
        if not found or found[0]["State"] == "deleted":
            return None
        return {**found[0], **(found[0]["NatGatewayAddresses"] or [{}])[0]}


@resource_type("AWS::EC2::FlowLog")
class FlowLog(ResourceType):
    replaced_by = (
        "DeliverCrossAccountRole",
        "DeliverLogsPermissionArn",
        "DestinationOptions",
        "LogDestination",
        "LogDestinationType",
        "LogFormat",
        "LogGroupName",
        "MaxAggregationInterval",
        "ResourceId",
        "ResourceType",
        "TrafficType",
    )
    unread = ("ResourceType",)

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        converted = {**without(properties, "Tags", "ResourceId"), "ResourceIds": [properties.get("ResourceId")]}
        parameters = to_parameters("ec2", "create_flow_logs", converted)
        answer = call("ec2", "create_flow_logs", **parameters, **_tag_specifications("vpc-flow-log", properties))
        flow_log: str = answer["FlowLogIds"][0]
        kept = ("DeliverLogsPermissionArn", "DeliverCrossAccountRole", "LogFormat", "LogGroupName")
        interval = parameters.get("MaxAggregationInterval", 600)
        details = {key[0].lower() + key[1:]: parameters[key] for key in kept if key in parameters}
        flow_log_details[flow_log] = _elements(maxAggregationInterval=interval, **details)
        if "DestinationOptions" in parameters:
            options = {key[0].lower() + key[1:]: value for key, value in parameters["DestinationOptions"].items()}
            flow_log_details[flow_log] += f"<destinationOptions>{_elements(**options)}</destinationOptions>"
        if upper_tags(properties):
            call("ec2", "create_tags", Resources=[flow_log], Tags=upper_tags(properties))
        return flow_log, {"Id": flow_log}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        _retag(physical_id, old, new)
        return {"Id": physical_id}

    def delete(self, physical_id: str, properties: Json) -> None:
        call("ec2", "delete_flow_logs", FlowLogIds=[physical_id])
        flow_log_details.pop(physical_id, None)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        found = call("ec2", "describe_flow_logs", FlowLogIds=[physical_id])["FlowLogs"]
        return found[0] if found else None


class _SecurityGroupRule(ResourceType):
    """One rule; AWS has an id for each, ministack has none, so the physical id is made up."""

    tags = None
    direction: str
    peer: str

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        self._change("authorize", properties)
        rule = f"sgr-{new_id().replace('-', '')[:17]}"
        return rule, {"Id": rule}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        # Only the description can change without a replacement.
        self._change("revoke", old)
        self._change("authorize", new)
        return {"Id": physical_id}

    def delete(self, physical_id: str, properties: Json) -> None:
        try:
            self._change("revoke", properties)
        except CallError as error:
            if "NotFound" not in error.code:
                raise

    def _change(self, verb: str, properties: Json) -> None:
        description = {"Description": properties["Description"]} if "Description" in properties else {}
        permission: Json = {
            "IpProtocol": str(properties["IpProtocol"]),
            **{key: int(properties[key]) for key in ("FromPort", "ToPort") if key in properties},
        }
        for key, target, member in (
            ("CidrIp", "IpRanges", "CidrIp"),
            ("CidrIpv6", "Ipv6Ranges", "CidrIpv6"),
            (f"{self.peer}PrefixListId", "PrefixListIds", "PrefixListId"),
            (f"{self.peer}SecurityGroupId", "UserIdGroupPairs", "GroupId"),
        ):
            if key in properties:
                permission[target] = [{member: properties[key], **description}]
        known = {"GroupId", "Description", "IpProtocol", "FromPort", "ToPort", "CidrIp", "CidrIpv6"}
        known |= {f"{self.peer}{suffix}" for suffix in ("PrefixListId", "SecurityGroupId", "SecurityGroupOwnerId")}
        for key in properties.keys() - known:
            raise ValueError(f"#: extraneous key [{key}] is not permitted")
        call(
            "ec2",
            f"{verb}_security_group_{self.direction}",
            GroupId=properties["GroupId"],
            IpPermissions=[permission],
        )


@resource_type("AWS::EC2::SecurityGroupIngress")
class SecurityGroupIngress(_SecurityGroupRule):
    direction, peer = "ingress", "Source"
    replaced_by = (
        "CidrIp",
        "CidrIpv6",
        "FromPort",
        "GroupId",
        "IpProtocol",
        "SourcePrefixListId",
        "SourceSecurityGroupId",
        "SourceSecurityGroupOwnerId",
        "ToPort",
    )


@resource_type("AWS::EC2::SecurityGroupEgress")
class SecurityGroupEgress(_SecurityGroupRule):
    direction, peer = "egress", "Destination"
    replaced_by = (
        "CidrIp",
        "CidrIpv6",
        "DestinationPrefixListId",
        "DestinationSecurityGroupId",
        "FromPort",
        "GroupId",
        "IpProtocol",
        "ToPort",
    )


def _tag_specifications(kind: str, properties: Json) -> Json:
    tags = upper_tags(properties)
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]} if tags else {}


def _retag(resource: str, old: Json, new: Json) -> None:
    gone = [{"Key": tag["Key"]} for tag in upper_tags(old) if tag["Key"] not in [t["Key"] for t in upper_tags(new)]]
    if gone:
        call("ec2", "delete_tags", Resources=[resource], Tags=gone)
    if upper_tags(new):
        call("ec2", "create_tags", Resources=[resource], Tags=upper_tags(new))


def _address(public_ip: str) -> Json:
    found = [item for item in call("ec2", "describe_addresses")["Addresses"] if item["PublicIp"] == public_ip]
    return found[0] if found else {}


def _allocated(allocation_id: str) -> Json:
    found = call("ec2", "describe_addresses", AllocationIds=[allocation_id])["Addresses"]
    if not found:
        raise ValueError(f"The allocation ID '{allocation_id}' does not exist")
    address: Json = found[0]
    return address


def _elements(**values: Any) -> str:
    return "".join(
        f"<{key}>{escape(str(value).lower() if isinstance(value, bool) else str(value))}</{key}>"
        for key, value in values.items()
    )


def _rewrite(action: str, rewrite: Callable[[str], str]) -> None:
    original = _ministack.ec2_actions[action]

    def rewritten(parameters: Json) -> Any:
        status, headers, body = original(parameters)
        return status, headers, rewrite(body.decode()).encode()

    _ministack.ec2_actions[action] = rewritten


def _with_nat_addresses(body: str) -> str:
    for gateway, elements in nat_addresses.items():
        body = re.sub(
            rf"(<natGatewayId>{gateway}</natGatewayId>.*?)<natGatewayAddressSet/>",
            rf"\1<natGatewayAddressSet><item>{elements}</item></natGatewayAddressSet>",
            body,
            count=1,
            flags=re.DOTALL,
        )
    return body


def _with_flow_log_details(body: str) -> str:
    for flow_log, elements in flow_log_details.items():
        identifier = f"<flowLogId>{flow_log}</flowLogId>"
        body = body.replace(identifier, identifier + elements)
    return body


_rewrite("DescribeNatGateways", _with_nat_addresses)
_rewrite("DescribeFlowLogs", _with_flow_log_details)
