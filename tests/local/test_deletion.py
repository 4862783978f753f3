import json

import pytest
from botocore.exceptions import ClientError

from tests.local.templates import ref, resource, role

VPC = resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16")
SUBNETS = {f"Subnet{n}": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock=f"10.0.{n}.0/24") for n in (1, 2)}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}


@pytest.fixture
def outside(aws, name):
    """A stack of its own, so that nothing here is deleted in the right order."""
    return f"{name}-outside"


def test_a_bucket_with_an_object_is_not_deleted(aws, stack):
    stack.create(Bucket=resource("AWS::S3::Bucket"))
    bucket = stack.id_of("Bucket")
    aws("s3").put_object(Bucket=bucket, Key="k", Body=b"x")
    assert stack.delete() == "DELETE_FAILED"
    assert "BucketNotEmpty" in stack.reason()
    assert aws("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    aws("s3").delete_object(Bucket=bucket, Key="k")
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_bucket_with_an_old_version_is_not_deleted(aws, stack):
    stack.create(Bucket=resource("AWS::S3::Bucket", VersioningConfiguration={"Status": "Enabled"}))
    bucket = stack.id_of("Bucket")
    version = aws("s3").put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    marker = aws("s3").delete_object(Bucket=bucket, Key="k")["VersionId"]
    assert stack.delete() == "DELETE_FAILED"
    for item in (version, marker):
        aws("s3").delete_object(Bucket=bucket, Key="k", VersionId=item)
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_bucket_that_is_gone_already_is_no_failure(aws, stack):
    stack.create(Bucket=resource("AWS::S3::Bucket"))
    aws("s3").delete_bucket(Bucket=stack.id_of("Bucket"))
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_role_with_a_policy_from_elsewhere_is_not_deleted(aws, stack, outside):
    managed = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    inline = [{"PolicyName": "own", "PolicyDocument": POLICY}]
    stack.create(Role=role(ManagedPolicyArns=[managed], Policies=inline))
    name = stack.id_of("Role")
    policy = aws("iam").create_policy(PolicyName=outside, PolicyDocument=json.dumps(POLICY))
    attachment = {"RoleName": name, "PolicyArn": policy["Policy"]["Arn"]}
    aws("iam").attach_role_policy(**attachment)
    assert stack.delete() == "DELETE_FAILED"
    assert "must detach all policies first" in stack.reason()
    assert "DeleteConflict" in stack.reason()
    aws("iam").detach_role_policy(**attachment)
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_role_with_an_inline_policy_from_elsewhere_is_not_deleted(aws, stack):
    stack.create(Role=role())
    policy = {"RoleName": stack.id_of("Role"), "PolicyName": "other"}
    aws("iam").put_role_policy(**policy, PolicyDocument=json.dumps(POLICY))
    assert stack.delete() == "DELETE_FAILED"
    aws("iam").delete_role_policy(**policy)
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_role_in_an_instance_profile_is_not_deleted(aws, stack, outside):
    stack.create(Role=role())
    membership = {"InstanceProfileName": outside, "RoleName": stack.id_of("Role")}
    aws("iam").create_instance_profile(InstanceProfileName=outside)
    aws("iam").add_role_to_instance_profile(**membership)
    assert stack.delete() == "DELETE_FAILED"
    assert "must remove roles from instance profile first" in stack.reason()
    aws("iam").remove_role_from_instance_profile(**membership)
    aws("iam").delete_instance_profile(InstanceProfileName=outside)
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_policy_attached_from_elsewhere_is_not_deleted(aws, stack):
    policy = resource("AWS::IAM::ManagedPolicy", PolicyDocument=POLICY, Roles=[ref("Role")])
    stack.create(Role=role(), Policy=policy, Other=role())
    attachment = {"RoleName": stack.id_of("Other"), "PolicyArn": stack.id_of("Policy")}
    aws("iam").attach_role_policy(**attachment)
    assert stack.delete() == "DELETE_FAILED"
    reasons = [item["ResourceStatusReason"] for item in stack.events() if item["ResourceStatus"] == "DELETE_FAILED"]
    assert any("Cannot delete a policy attached to entities" in reason for reason in reasons)
    aws("iam").detach_role_policy(**attachment)
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_security_group_in_use_is_not_deleted(aws, stack):
    group = resource("AWS::EC2::SecurityGroup", GroupDescription="g", VpcId=ref("Vpc"))
    stack.create(Vpc=VPC, Group=group)
    used = {"GroupId": stack.id_of("Group")}
    other = aws("ec2").create_security_group(GroupName="other", Description="o", VpcId=stack.id_of("Vpc"))["GroupId"]
    permission = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [used]}
    aws("ec2").authorize_security_group_ingress(GroupId=other, IpPermissions=[permission])
    with pytest.raises(ClientError, match=f"DependencyViolation.*security group {other}"):
        aws("ec2").delete_security_group(**used)
    assert stack.delete() == "DELETE_FAILED"
    assert "DependencyViolation" in stack.reason()
    aws("ec2").delete_security_group(GroupId=other)
    assert stack.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize("kind", ["load balancer", "NAT gateway"])
def test_a_subnet_in_use_is_not_deleted(aws, stack, name, kind):
    stack.create(Vpc=VPC, **SUBNETS)
    subnets = [stack.id_of("Subnet1"), stack.id_of("Subnet2")]
    if kind == "load balancer":
        made = aws("elbv2").create_load_balancer(Name=name, Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    else:
        address = aws("ec2").allocate_address()["AllocationId"]
        made = aws("ec2").create_nat_gateway(SubnetId=subnets[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
    with pytest.raises(ClientError, match=f"DependencyViolation.*{kind}"):
        aws("ec2").delete_subnet(SubnetId=subnets[0])
    assert stack.delete() == "DELETE_FAILED"
    if kind == "load balancer":
        aws("elbv2").delete_load_balancer(LoadBalancerArn=made)
    else:
        aws("ec2").delete_nat_gateway(NatGatewayId=made)
        aws("ec2").release_address(AllocationId=address)
    assert stack.delete() == "DELETE_COMPLETE"


def test_an_internet_gateway_in_use_is_not_deleted(aws, stack):
    attachment = resource("AWS::EC2::VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway"))
    stack.create(Vpc=VPC, Gateway=resource("AWS::EC2::InternetGateway"), Attachment=attachment)
    with pytest.raises(ClientError, match="DependencyViolation"):
        aws("ec2").delete_internet_gateway(InternetGatewayId=stack.id_of("Gateway"))
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_vpc_with_dependents_is_not_deleted(aws, stack):
    table = resource("AWS::EC2::RouteTable", VpcId=ref("Vpc"))
    stack.create(Vpc=VPC, Table=table)
    with pytest.raises(ClientError, match=r"DependencyViolation.*route table"):
        aws("ec2").delete_vpc(VpcId=stack.id_of("Vpc"))
    assert stack.delete() == "DELETE_COMPLETE"


def test_an_address_in_use_is_not_released_by_its_stack(aws, stack):
    stack.create(Ip=resource("AWS::EC2::EIP"), Vpc=VPC, **SUBNETS)
    [address] = [item for item in aws("ec2").describe_addresses()["Addresses"] if item["PublicIp"] == stack.id_of("Ip")]
    association = aws("ec2").associate_address(AllocationId=address["AllocationId"])["AssociationId"]
    assert stack.delete() == "DELETE_FAILED"
    assert "InvalidIPAddress.InUse" in stack.reason()
    aws("ec2").disassociate_address(AssociationId=association)
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_target_group_in_use_is_not_deleted(aws, stack, name):
    group = resource("AWS::ElasticLoadBalancingV2::TargetGroup", Port=80, Protocol="HTTP", VpcId=ref("Vpc"))
    stack.create(Vpc=VPC, **SUBNETS, Targets=group)
    subnets = [stack.id_of("Subnet1"), stack.id_of("Subnet2")]
    balancer = aws("elbv2").create_load_balancer(Name=name, Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    forward = [{"Type": "forward", "TargetGroupArn": stack.id_of("Targets")}]
    aws("elbv2").create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)
    assert stack.delete() == "DELETE_FAILED"
    reasons = [item["ResourceStatusReason"] for item in stack.events() if item["ResourceStatus"] == "DELETE_FAILED"]
    assert any("ResourceInUse" in reason for reason in reasons)
    aws("elbv2").delete_load_balancer(LoadBalancerArn=balancer)
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_key_waits_for_its_deletion(aws, stack):
    stack.create(Key=resource("AWS::KMS::Key", KeyPolicy={}, PendingWindowInDays=7))
    key = stack.id_of("Key")
    assert stack.delete() == "DELETE_COMPLETE"
    assert aws("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
