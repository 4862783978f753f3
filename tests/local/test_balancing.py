from tests.local.templates import ref, resource

VPC = resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16")
SUBNETS = {f"Subnet{n}": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock=f"10.0.{n}.0/24") for n in (1, 2)}


def load_balancer(*subnets, **properties):
    return resource("AWS::ElasticLoadBalancingV2::LoadBalancer", Subnets=list(subnets), **properties)


def test_a_load_balancer_is_in_the_vpc_of_its_subnets_and_keeps_its_attributes(aws, stack):
    attributes = [
        {"Key": "access_logs.s3.enabled", "Value": "true"},
        {"Key": "access_logs.s3.bucket", "Value": "logs"},
        {"Key": "access_logs.s3.prefix", "Value": "alb"},
    ]
    balancer = load_balancer(ref("Subnet1"), ref("Subnet2"), LoadBalancerAttributes=attributes)
    assert stack.create(Vpc=VPC, **SUBNETS, Balancer=balancer) == "CREATE_COMPLETE"
    arn = stack.id_of("Balancer")
    [found] = aws("elbv2").describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
    assert found["VpcId"] == stack.id_of("Vpc")
    kept = aws("elbv2").describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    assert all(attribute in kept for attribute in attributes)


def test_a_subnet_that_does_not_exist_fails_by_its_id(stack):
    assert stack.create(Balancer=load_balancer("subnet-1")) == "ROLLBACK_COMPLETE"
    assert "The subnet ID 'subnet-1' does not exist" in stack.reason()
