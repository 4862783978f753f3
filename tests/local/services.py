"""A load-balanced service on Fargate, deployed by ECS itself or by CodeDeploy, and functions as its hooks."""

import textwrap

from tests.local.templates import get, ref, resource, role

ROLE = "arn:aws:iam::123456789012:role/any"
NETWORK = {"AwsvpcConfiguration": {"Subnets": [ref("Subnet")], "SecurityGroups": [], "AssignPublicIp": "DISABLED"}}
BALANCER = {"ContainerName": "web", "ContainerPort": 80, "TargetGroupArn": ref("Blue")}
SHIFTED_BY_ECS = {
    **BALANCER,
    "AdvancedConfiguration": {
        "AlternateTargetGroupArn": ref("Green"),
        "ProductionListenerRule": ref("Rule"),
        "RoleArn": ROLE,
    },
}


def balanced():
    """A load balancer with two target groups, a listener, and a rule that forwards to both by weight."""
    return {
        "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
        "Subnet": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.0.0/24"),
        "Balancer": resource("AWS::ElasticLoadBalancingV2::LoadBalancer", Subnets=[ref("Subnet")]),
        "Blue": target_group(),
        "Green": target_group(),
        "Listener": listener(80, {"Type": "forward", "TargetGroupArn": ref("Blue")}),
        "TestListener": listener(8080, {"Type": "forward", "TargetGroupArn": ref("Blue")}),
        "Rule": resource(
            "AWS::ElasticLoadBalancingV2::ListenerRule",
            ListenerArn=ref("Listener"),
            Priority=1,
            Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
            Actions=[
                {
                    "Type": "forward",
                    "ForwardConfig": {
                        "TargetGroups": [
                            {"TargetGroupArn": ref("Blue"), "Weight": 100},
                            {"TargetGroupArn": ref("Green"), "Weight": 0},
                        ]
                    },
                }
            ],
        ),
    }


def target_group():
    return resource(
        "AWS::ElasticLoadBalancingV2::TargetGroup", VpcId=ref("Vpc"), Port=80, Protocol="HTTP", TargetType="ip"
    )


def listener(port, action):
    return resource(
        "AWS::ElasticLoadBalancingV2::Listener",
        LoadBalancerArn=ref("Balancer"),
        Port=port,
        Protocol="HTTP",
        DefaultActions=[action],
    )


def cluster(**properties):
    return resource("AWS::ECS::Cluster", **properties)


def definition(*, cpu="256", image="web:1", **properties):
    return resource(
        "AWS::ECS::TaskDefinition",
        **{
            "Cpu": cpu,
            "Memory": "1024",
            "NetworkMode": "awsvpc",
            "RequiresCompatibilities": ["FARGATE"],
            "ContainerDefinitions": [{"Name": "web", "Image": image, "PortMappings": [{"ContainerPort": 80}]}],
            **properties,
        },
    )


def service(*, controller="ECS", **properties):
    return resource(
        "AWS::ECS::Service",
        depends_on=["Listener", "Rule"],
        **{
            "Cluster": ref("Cluster"),
            "TaskDefinition": ref("Definition"),
            "DeploymentController": {"Type": controller},
            "LaunchType": "FARGATE",
            "DesiredCount": 2,
            "NetworkConfiguration": NETWORK,
            "LoadBalancers": [BALANCER],
            **properties,
        },
    )


def function(code, **properties):
    return resource(
        "AWS::Lambda::Function",
        **{
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": get("Role", "Arn"),
            "Code": {"ZipFile": textwrap.dedent(code)},
            "Timeout": 30,
            **properties,
        },
    )


def functions(**codes):
    return {"Role": role(), **{name: function(code) for name, code in codes.items()}}
