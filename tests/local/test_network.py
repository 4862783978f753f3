import pytest
from botocore.exceptions import ClientError

from tests.local.templates import get, ref, resource

VPC = resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16")
SUBNET = resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.0.0/24")
GROUP = resource("AWS::EC2::SecurityGroup", GroupDescription="g", VpcId=ref("Vpc"), SecurityGroupEgress=[])


def nat_gateway(**properties):
    return resource(
        "AWS::EC2::NatGateway", SubnetId=ref("Subnet"), AllocationId=get("Ip", "AllocationId"), **properties
    )


def ip():
    return resource("AWS::EC2::EIP", Domain="vpc", Tags=[{"Key": "Name", "Value": "nat"}])


def test_a_nat_gateway_has_its_subnet_and_its_address(aws, stack):
    assert stack.create(Vpc=VPC, Subnet=SUBNET, Ip=ip(), Nat=nat_gateway()) == "CREATE_COMPLETE"
    gateway = aws("ec2").describe_nat_gateways(NatGatewayIds=[stack.id_of("Nat")])["NatGateways"][0]
    assert (gateway["State"], gateway["SubnetId"]) == ("available", stack.id_of("Subnet"))
    [address] = gateway["NatGatewayAddresses"]
    assert address["PublicIp"] == stack.id_of("Ip")
    [allocated] = aws("ec2").describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"]
    assert allocated["AssociationId"] == address["AssociationId"]
    assert {"Key": "Name", "Value": "nat"} in allocated["Tags"]
    assert stack.delete() == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="NotFound"):
        aws("ec2").release_address(AllocationId=address["AllocationId"])


def test_tags_of_a_nat_gateway_change_in_place(aws, stack):
    stack.create(Vpc=VPC, Subnet=SUBNET, Ip=ip(), Nat=nat_gateway(Tags=[{"Key": "a", "Value": "1"}]))
    gateway = stack.id_of("Nat")
    stack.update(Vpc=VPC, Subnet=SUBNET, Ip=ip(), Nat=nat_gateway(Tags=[{"Key": "b", "Value": "2"}]))
    assert stack.id_of("Nat") == gateway
    [found] = aws("ec2").describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"]
    tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert (tags.get("a"), tags["b"]) == (None, "2")


def test_a_public_nat_gateway_without_an_address_fails_with_the_reason(stack):
    nat = resource("AWS::EC2::NatGateway", SubnetId=ref("Subnet"))
    assert stack.create(Vpc=VPC, Subnet=SUBNET, Nat=nat) == "ROLLBACK_COMPLETE"
    assert "needs an AllocationId" in stack.reason()


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (
            {
                "LogDestinationType": "s3",
                "LogDestination": "arn:aws:s3:::logs/vpc",
                "DestinationOptions": {
                    "FileFormat": "parquet",
                    "HiveCompatiblePartitions": True,
                    "PerHourPartition": "true",
                },
            },
            {
                "LogDestinationType": "s3",
                "LogDestination": "arn:aws:s3:::logs/vpc",
                "DestinationOptions": {
                    "FileFormat": "parquet",
                    "HiveCompatiblePartitions": True,
                    "PerHourPartition": True,
                },
            },
        ),
        (
            {"LogGroupName": "flow", "DeliverLogsPermissionArn": "arn:aws:iam::123456789012:role/flow"},
            {"LogGroupName": "flow", "DeliverLogsPermissionArn": "arn:aws:iam::123456789012:role/flow"},
        ),
    ],
)
def test_a_flow_log_keeps_its_delivery(aws, stack, properties, expected):
    flow_log = resource(
        "AWS::EC2::FlowLog",
        ResourceId=ref("Vpc"),
        ResourceType="VPC",
        TrafficType="REJECT",
        MaxAggregationInterval=60,
        LogFormat="${srcaddr} ${dstaddr}",
        Tags=[{"Key": "a", "Value": "b"}],
        **properties,
    )
    assert stack.create(Vpc=VPC, Flow=flow_log) == "CREATE_COMPLETE"
    [found] = aws("ec2").describe_flow_logs(FlowLogIds=[stack.id_of("Flow")])["FlowLogs"]
    assert (found["ResourceId"], found["TrafficType"]) == (stack.id_of("Vpc"), "REJECT")
    assert (found["MaxAggregationInterval"], found["LogFormat"]) == (60, "${srcaddr} ${dstaddr}")
    assert {key: found[key] for key in expected} == expected
    assert {"Key": "a", "Value": "b"} in found["Tags"]


def test_single_rules_come_and_go_with_their_resources(aws, stack):
    ingress = resource(
        "AWS::EC2::SecurityGroupIngress",
        GroupId=ref("Group"),
        IpProtocol="tcp",
        FromPort=80,
        ToPort=80,
        SourceSecurityGroupId=ref("Other"),
        Description="web",
    )
    egress = resource("AWS::EC2::SecurityGroupEgress", GroupId=ref("Group"), IpProtocol="-1", CidrIp="10.0.0.0/8")
    assert stack.create(Vpc=VPC, Group=GROUP, Other=GROUP, In=ingress, Out=egress) == "CREATE_COMPLETE"
    [group] = aws("ec2").describe_security_groups(GroupIds=[stack.id_of("Group")])["SecurityGroups"]
    [permission] = group["IpPermissions"]
    assert (permission["IpProtocol"], permission["FromPort"], permission["ToPort"]) == ("tcp", 80, 80)
    [pair] = permission["UserIdGroupPairs"]
    assert (pair["GroupId"], pair["Description"]) == (stack.id_of("Other"), "web")
    assert "10.0.0.0/8" in [item["CidrIp"] for rule in group["IpPermissionsEgress"] for item in rule["IpRanges"]]
    stack.update(Vpc=VPC, Group=GROUP, Other=GROUP)
    [group] = aws("ec2").describe_security_groups(GroupIds=[stack.id_of("Group")])["SecurityGroups"]
    assert group["IpPermissions"] == []


def test_an_unknown_property_of_a_rule_is_refused_by_name(stack):
    rule = resource("AWS::EC2::SecurityGroupIngress", GroupId=ref("Group"), IpProtocol="tcp", Cidr="10.0.0.0/8")
    assert stack.create(Vpc=VPC, Group=GROUP, Rule=rule) == "ROLLBACK_COMPLETE"
    assert "extraneous key [Cidr] is not permitted" in stack.reason()


@pytest.mark.parametrize("kernel", ["kernel-default", "kernel-6.1", "kernel-6.12"])
@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_amazon_linux_2023_has_its_public_parameters(aws, kernel, architecture):
    name = f"/aws/service/ami-amazon-linux-latest/al2023-ami-{kernel}-{architecture}"
    assert aws("ssm").get_parameter(Name=name)["Parameter"]["Value"].startswith("ami-")
