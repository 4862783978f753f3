"""The service: private tasks that write nowhere, two target groups, and a template that names no revision."""

from typing import Any

import pytest
from aws_cdk import App, Fn, RemovalPolicy, SecretValue, Size, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import DeploymentHook, EcsService, SmokeTest, Statement
from code_family_constructs.deploy.ecs_service import _secret_arns
from code_family_constructs.testing import statements_of, synthesized, text_of
from tests.helpers import a_stack, allowed, of_type, only, refuses

CERTIFICATE_ARN = "arn:aws:acm:eu-west-1:111111111111:certificate/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
CODE_DEPLOY, ECS = ecs.DeploymentControllerType.CODE_DEPLOY, ecs.DeploymentControllerType.ECS
OFFICE = ec2.Peer.ipv4("192.0.2.0/24")
LISTENER, RULE = "AWS::ElasticLoadBalancingV2::Listener", "AWS::ElasticLoadBalancingV2::ListenerRule"
TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"
INGRESS = "AWS::EC2::SecurityGroupIngress"
SERVER = ecs.ContainerImage.from_registry("registry.example/server:1")


def an_existing_vpc(stack, *, public=True, private=True):
    zones = ["eu-west-1a", "eu-west-1b"]
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Existing",
        vpc_id="vpc-1",
        vpc_cidr_block="10.1.0.0/16",
        availability_zones=zones,
        public_subnet_ids=["subnet-1", "subnet-2"] if public else None,
        private_subnet_ids=["subnet-3", "subnet-4"] if private else None,
    )


def a_service(stack, **settings: Any) -> EcsService:
    if "vpc" not in settings:
        settings["vpc"] = an_existing_vpc(stack)
    return EcsService(stack, "Service", **{"certificate": None, "repository": None, **settings})


def certificate(stack):
    return acm.Certificate.from_certificate_arn(stack, "Certificate", CERTIFICATE_ARN)


@pytest.fixture(scope="module")
def templates():
    app = App()
    full = Stack(app, "Full")
    secret = secretsmanager.Secret(full, "Secret", encryption_key=kms.Key(full, "SecretKey"))
    named = secretsmanager.Secret.from_secret_name_v2(full, "Named", "shop/token")
    parameter = ssm.StringParameter.from_secure_string_parameter_attributes(full, "Url", parameter_name="/shop/url")
    service = EcsService(
        full,
        "Service",
        certificate=certificate(full),
        repository=ecr.Repository(full, "Images"),
        image=SERVER,
        port=9000,
        cpu=1024,
        memory_limit_mib=2048,
        cpu_architecture=ecs.CpuArchitecture.ARM64,
        desired_count=3,
        environment={"STAGE": "production"},
        secrets={
            "PASSWORD": ecs.Secret.from_secrets_manager(secret, "password"),
            "USER": ecs.Secret.from_secrets_manager(secret, "user"),
            "TOKEN": ecs.Secret.from_secrets_manager(named),
            "URL": ecs.Secret.from_ssm_parameter(parameter),
        },
        statements=[Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::orders/today.csv"])],
        tmpfs={"/tmp": Size.mebibytes(64), "/var/cache": Size.mebibytes(32)},
        health_check_path="/health",
        test_listener_peers=[OFFICE],
        nat_gateways=2,
        alarm_topic=sns.Topic(full, "Topic", master_key=kms.Key(full, "Key")),
    )
    service.task_definition.add_container("envoy", image=ecs.ContainerImage.from_registry("registry.example/envoy:1"))
    service.container.add_environment("LATER", "too")

    shifted = Stack(app, "Shifted")
    a_service(
        shifted,
        deployment_controller=CODE_DEPLOY,
        internet_facing=False,
        test_listener=True,
        desired_count=None,
        tmpfs={},
        removal_policy=RemovalPolicy.DESTROY,
    )

    network = Stack(app, "Network")
    cluster = ecs.Cluster(network, "Cluster", vpc=an_existing_vpc(network), cluster_name="shared")
    service = a_service(
        network,
        vpc=None,
        cluster=cluster,
        certificate=certificate(network),
        load_balancer="network",
        listener_port=8443,
        health_check_path=None,
        test_listener=True,
        service_name="orders",
    )
    balancer = service.load_balancer.load_balancer_full_name
    smoke_test = SmokeTest("https://orders.example:9001/", load_balancer=balancer)
    service.let_in(DeploymentHook(network, "Hook", check=smoke_test, vpc=cluster.vpc))

    connected = Stack(app, "Connected")
    a_service(connected, deployment_controller=CODE_DEPLOY, load_balancer="network")
    return {stack.stack_name: synthesized(stack) for stack in (full, shifted, network, connected)}


@pytest.fixture(scope="module")
def full(templates):
    return templates["Full"]


@pytest.fixture(scope="module")
def shifted(templates):
    return templates["Shifted"]


@pytest.fixture(scope="module")
def network(templates):
    return templates["Network"]


@pytest.fixture(scope="module")
def connected(templates):
    return templates["Connected"]


def service_of(template):
    return only(template, "AWS::ECS::Service")


def tasks_of(template):
    return only(template, "AWS::ECS::TaskDefinition")


def container(template, name="app"):
    (found,) = [each for each in tasks_of(template)["ContainerDefinitions"] if each["Name"] == name]
    return found


def group_of(template, described):
    """Logical id and properties of a security group."""
    (found,) = [
        each
        for each in of_type(template, "AWS::EC2::SecurityGroup").items()
        if each[1]["GroupDescription"].startswith(described)
    ]
    return found


def entrance(template):
    """Who gets to the load balancer, by port."""
    id_, group = group_of(template, "Load balancer")
    inline = {(rule["FromPort"], text_of(rule["CidrIp"])) for rule in group.get("SecurityGroupIngress", ())}
    apart = {
        (rule["FromPort"], text_of(rule["SourceSecurityGroupId"]))
        for rule in of_type(template, INGRESS).values()
        if rule["GroupId"]["Fn::GetAtt"][0] == id_
    }
    return inline | apart


def listener(template, port):
    (found,) = [each for each in of_type(template, LISTENER).values() if each["Port"] == port]
    return found


def weights(action):
    groups = action["ForwardConfig"]["TargetGroups"]
    return {text_of(group["TargetGroupArn"])[1:12]: group["Weight"] for group in groups}


def test_tasks_are_private_and_nobody_gets_a_shell_in_them(full):
    service = service_of(full)
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "DISABLED"
    assert len(network["Subnets"]) == 2
    assert all("Private" in subnet["Ref"] for subnet in network["Subnets"])
    assert service["EnableExecuteCommand"] is False
    assert (service["LaunchType"], service["PlatformVersion"]) == ("FARGATE", "LATEST")


def test_tasks_take_traffic_from_the_load_balancer_on_their_port_only(full):
    tasks, group = group_of(full, "Tasks of")
    assert "SecurityGroupIngress" not in group
    rules = [rule for rule in of_type(full, INGRESS).values() if rule["GroupId"]["Fn::GetAtt"][0] == tasks]
    balancer, _ = group_of(full, "Load balancer")
    assert {(rule["FromPort"], rule["ToPort"]) for rule in rules} == {(9000, 9000)}
    assert {rule["SourceSecurityGroupId"]["Fn::GetAtt"][0] for rule in rules} == {balancer}


def test_tasks_reach_https_and_nothing_else(full):
    _, group = group_of(full, "Tasks of")
    assert [(rule["IpProtocol"], rule["FromPort"]) for rule in group["SecurityGroupEgress"]] == [("tcp", 443)]


def test_a_container_writes_to_the_folders_that_are_named_and_nowhere_else(full, shifted):
    app = container(full)
    assert app["ReadonlyRootFilesystem"] is True
    assert {(each["ContainerPath"], each["Size"]) for each in app["LinuxParameters"]["Tmpfs"]} == {
        ("/tmp", 64),
        ("/var/cache", 32),
    }
    assert all(each["MountOptions"] == ["nosuid", "nodev"] for each in app["LinuxParameters"]["Tmpfs"])
    assert "Tmpfs" not in container(shifted)["LinuxParameters"]


def test_tasks_have_the_size_and_processor_that_was_asked_for(full):
    tasks = tasks_of(full)
    assert (tasks["Cpu"], tasks["Memory"], tasks["RuntimePlatform"]["CpuArchitecture"]) == ("1024", "2048", "ARM64")
    assert service_of(full)["DesiredCount"] == 3


def test_a_scaling_policy_keeps_its_number_of_tasks(shifted):
    """CloudFormation would set what the template says with each update of the service."""
    assert "DesiredCount" not in service_of(shifted)


def test_secrets_are_read_when_a_task_starts(full):
    found = {each["Name"]: text_of(each["ValueFrom"]) for each in container(full)["Secrets"]}
    assert found["PASSWORD"] == "<SecretA720EF05>:password::"
    assert found["TOKEN"].endswith(":secret:shop/token")
    assert found["URL"].endswith(":parameter/shop/url")
    assert container(full)["Environment"] == [
        {"Name": "STAGE", "Value": "production"},
        {"Name": "LATER", "Value": "too"},
    ]


def test_amazon_ecs_may_pull_and_log_and_nothing_else(full):
    assert allowed(full, "ServiceExecutionRolePolicy") == {
        "logs:CreateLogStream on <ServiceTaskLogsF9AA84A3.Arn>",
        "logs:PutLogEvents on <ServiceTaskLogsF9AA84A3.Arn>",
        "ecr:GetAuthorizationToken on *",
        "ecr:BatchCheckLayerAvailability on <Images2D38C313.Arn>",
        "ecr:BatchGetImage on <Images2D38C313.Arn>",
        "ecr:GetDownloadUrlForLayer on <Images2D38C313.Arn>",
    }


def test_amazon_ecs_may_read_these_secrets_and_use_their_keys_for_them_alone(full):
    here = "<AWS::Region>:<AWS::AccountId>"
    token = f"arn:<AWS::Partition>:secretsmanager:{here}:secret:shop/token-??????"
    url = f"arn:<AWS::Partition>:ssm:{here}:parameter/shop/url"
    assert allowed(full, "ServiceSecretsPolicy") == {
        "secretsmanager:GetSecretValue on <SecretA720EF05>",
        f"secretsmanager:GetSecretValue on {token}",
        f"ssm:GetParameters on {url}",
        "kms:Decrypt on *",
    }
    keys = [
        (operator, {key: [text_of(one) for one in listed(value)] for key, value in conditions.items()})
        for name, statement in statements_of(full["Resources"])
        if name.startswith("ServiceSecretsPolicy") and "kms:Decrypt" in statement["Action"]
        for operator, conditions in statement["Condition"].items()
    ]
    via = "<AWS::Region>.<AWS::URLSuffix>"
    assert keys == [
        (
            "StringEquals",
            {"kms:ViaService": [f"secretsmanager.{via}"], "kms:EncryptionContext:SecretARN": ["<SecretA720EF05>"]},
        ),
        ("StringLike", {"kms:ViaService": [f"secretsmanager.{via}"], "kms:EncryptionContext:SecretARN": [token]}),
        ("StringEquals", {"kms:ViaService": [f"ssm.{via}"], "kms:EncryptionContext:PARAMETER_ARN": [url]}),
    ]


def listed(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("added", [":::", ":password::", ":password:AWSCURRENT:", "::AWSPREVIOUS:", ":::1a2b3c", ""])
@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        ("arn:aws:secretsmanager:a:1:secret:shop/a-B1c2D3", ("{}", "{}-??????")),
        ("arn:aws:secretsmanager:a:1:secret:my-secret", ("{}", "{}-??????")),
        ("arn:aws:secretsmanager:a:1:secret:shop/token", ("{}-??????",)),
        ("${Token[Secret.12]}", ("{}",)),
    ],
)
def test_a_secret_is_known_by_its_arn_whatever_field_or_version_is_asked_for(arn, added, expected):
    assert _secret_arns(arn + added) == tuple(pattern.format(arn) for pattern in expected)


@given(st.from_regex(r"/[a-zA-Z0-9_.:/-]{1,40}", fullmatch=True))
def test_a_parameter_is_known_by_its_arn(name):
    arn = f"arn:aws:ssm:eu-west-1:111111111111:parameter{name}"
    if ":secret:" not in arn:
        assert _secret_arns(arn) == (arn,)


def test_the_application_may_do_what_was_stated_and_nothing_else(full, shifted):
    assert allowed(full, "ServiceTaskRole") == {"s3:GetObject on arn:aws:s3:::orders/today.csv"}
    assert allowed(shifted, "ServiceTaskRole") == set()


def test_roles_of_tasks_are_for_tasks_of_this_account(full, shifted):
    for template in (full, shifted):
        (role,) = [role for name, role in of_type(template, "AWS::IAM::Role").items() if "TaskRole" in name]
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        source = text_of(trust["Condition"]["ArnLike"]["aws:SourceArn"])
        assert source == "arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:*"


def test_no_managed_policy_of_aws_is_used(templates):
    for template in templates.values():
        for role in of_type(template, "AWS::IAM::Role").values():
            assert not any(":aws:policy/" in text_of(arn) for arn in role.get("ManagedPolicyArns", ()))


def test_logs_are_kept_for_a_quarter_of_a_year(full):
    options = container(full)["LogConfiguration"]
    group = options["Options"]["awslogs-group"]["Ref"]
    assert options["LogDriver"] == "awslogs"
    assert full["Resources"][group]["Properties"]["RetentionInDays"] == 90


def test_users_come_in_by_https_and_testers_from_where_they_are(full):
    assert entrance(full) == {(80, "0.0.0.0/0"), (443, "0.0.0.0/0"), (9001, "192.0.2.0/24")}
    assert listener(full, 80)["DefaultActions"][0]["Type"] == "redirect"
    for port in (443, 9001):
        assert listener(full, port)["Protocol"] == "HTTPS"
        assert listener(full, port)["SslPolicy"].startswith("ELBSecurityPolicy-TLS13")
        assert listener(full, port)["Certificates"] == [{"CertificateArn": CERTIFICATE_ARN}]


def test_an_internal_service_is_reached_from_its_vpc_and_its_test_listener_by_nobody_yet(shifted):
    assert entrance(shifted) == {(80, "10.1.0.0/16")}
    assert only(shifted, "AWS::ElasticLoadBalancingV2::LoadBalancer")["Scheme"] == "internal"
    assert listener(shifted, 9001)["Protocol"] == "HTTP"


def test_a_hook_that_is_let_in_reaches_the_test_listener_only(network):
    hook, _ = group_of(network, "Checks deployments")
    assert entrance(network) == {(8443, "0.0.0.0/0"), (9001, f"<{hook}.GroupId>")}


def test_both_target_groups_ask_for_health(full, network):
    groups = of_type(full, TARGET_GROUP).values()
    assert [(group["Port"], group["HealthCheckPath"], group["TargetType"]) for group in groups] == [
        (9000, "/health", "ip")
    ] * 2
    assert [group["HealthCheckProtocol"] for group in of_type(network, TARGET_GROUP).values()] == ["TCP"] * 2


def test_blue_has_the_users_and_green_the_testers_to_start_with(full, shifted, network, connected):
    """Under CodeDeploy a listener knows one target group, for Amazon ECS a rule or a listener knows both."""
    blue, green = "ServiceBlue", "ServiceGreen"
    of_users, of_tests = of_type(full, RULE).values()
    assert weights(of_users["Actions"][0]) == {blue: 100, green[:11]: 0}
    assert weights(of_tests["Actions"][0]) == {blue: 0, green[:11]: 100}
    assert weights(listener(network, 8443)["DefaultActions"][0]) == {blue: 100, green[:11]: 0}
    assert weights(listener(network, 9001)["DefaultActions"][0]) == {blue: 0, green[:11]: 100}
    for template, port, group in ((shifted, 80, blue), (shifted, 9001, green), (connected, 80, blue)):
        (action,) = listener(template, port)["DefaultActions"]
        assert text_of(action["TargetGroupArn"]).startswith(f"<{group}")
        assert of_type(template, RULE) == {}


def test_amazon_ecs_knows_what_to_move_and_gives_up_early(full, network):
    for template, kind in ((full, RULE), (network, LISTENER)):
        service = service_of(template)
        (balancer,) = service["LoadBalancers"]
        settings = balancer["AdvancedConfiguration"]
        assert template["Resources"][settings["ProductionListenerRule"]["Ref"]]["Type"] == kind
        assert template["Resources"][settings["TestListenerRule"]["Ref"]]["Type"] == kind
        assert text_of(settings["AlternateTargetGroupArn"]).startswith("<ServiceGreen")
        assert "InfrastructureRole" in text_of(settings["RoleArn"])
        configuration = service["DeploymentConfiguration"]
        assert configuration["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        assert (configuration["MinimumHealthyPercent"], configuration["MaximumPercent"]) == (100, 200)


def test_amazon_ecs_may_move_the_traffic_of_this_service_and_no_other(full, network):
    describe = {
        f"elasticloadbalancing:Describe{what} on *" for what in ("Listeners", "Rules", "TargetGroups", "TargetHealth")
    }
    for template, action, kind in (
        (full, "elasticloadbalancing:ModifyRule", RULE),
        (network, "elasticloadbalancing:ModifyListener", LISTENER),
    ):
        groups, moved = of_type(template, TARGET_GROUP), of_type(template, kind)
        assert allowed(template, "ServiceInfrastructureRole") == {
            *describe,
            *(f"elasticloadbalancing:RegisterTargets on <{group}>" for group in groups),
            *(f"elasticloadbalancing:DeregisterTargets on <{group}>" for group in groups),
            *(f"{action} on <{name}>" for name in moved),
        }


def test_a_service_for_codedeploy_is_left_to_codedeploy(shifted, connected):
    for template in (shifted, connected):
        service = service_of(template)
        assert service["DeploymentController"] == {"Type": "CODE_DEPLOY"}
        assert "DeploymentCircuitBreaker" not in service["DeploymentConfiguration"]
        assert "AdvancedConfiguration" not in service["LoadBalancers"][0]
        assert not any("InfrastructureRole" in name for name in of_type(template, "AWS::IAM::Role"))


def test_the_template_names_no_revision_of_the_task_definition(templates):
    """So CloudFormation has none to put in the place of what a release has brought."""
    names = {
        "Full": "Full-Service",
        "Shifted": "Shifted-Service",
        "Network": "orders",
        "Connected": "Connected-Service",
    }
    for stack, name in names.items():
        service = service_of(templates[stack])
        assert service["TaskDefinition"] == service["ServiceName"] == name
        assert tasks_of(templates[stack])["Family"] == name


def test_the_service_waits_for_the_first_revision(templates):
    for template in templates.values():
        (service,) = [each for each in template["Resources"].values() if each["Type"] == "AWS::ECS::Service"]
        (tasks,) = of_type(template, "AWS::ECS::TaskDefinition")
        assert tasks in service["DependsOn"]


def test_the_image_is_the_one_that_runs(full):
    (name,) = of_type(full, "Custom::RunningImage")
    assert container(full)["Image"] == {"Fn::GetAtt": [name, "Image"]}
    assert container(full, "envoy")["Image"] == "registry.example/envoy:1"
    asked = only(full, "Custom::RunningImage")
    assert asked["InitialImage"] == "registry.example/server:1"
    assert (asked["Service"], asked["Container"], asked["DeploymentController"]) == ("Full-Service", "app", "ECS")


def test_the_image_is_asked_for_whenever_anything_else_in_the_task_definition_changes(full):
    """Also what was added after the service was made: a container and a variable."""
    asked = only(full, "Custom::RunningImage")["TaskDefinition"]
    (app, envoy) = asked["containerDefinitions"]
    assert (asked["cpu"], envoy["image"]) == ("1024", "registry.example/envoy:1")
    assert app == {
        **app,
        "image": "",
        "environment": [{"name": "STAGE", "value": "production"}, {"name": "LATER", "value": "too"}],
    }
    everything = {name[0].lower() + name[1:] for name in tasks_of(full)}
    assert set(asked) >= everything


def test_who_tells_the_image_may_look_at_this_service(full, network):
    here = "arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:service"
    assert allowed(network, "ServiceRunningImageFunctionRole") >= {
        f"ecs:DescribeServices on {here}/<ClusterEB0386A7>/orders",
        "ecs:DescribeTaskDefinition on *",
    }
    assert not any(
        " on *" in each for each in allowed(full, "ServiceRunningImageFunctionRole") if "Describe" not in each
    )


def test_a_service_is_handed_over_only_while_blue_has_its_traffic(full, shifted):
    assert text_of(only(full, "Custom::RunningImage")["BlueTargetGroup"]).startswith("<ServiceBlue")
    (rule,) = [
        each
        for each in full["Resources"].values()
        if each["Type"] == RULE and weights(each["Properties"]["Actions"][0])["ServiceBlue"] == 100
    ]
    (image,) = of_type(full, "Custom::RunningImage")
    assert image in rule["DependsOn"]
    assert "BlueTargetGroup" not in only(shifted, "Custom::RunningImage")


def test_health_is_that_of_both_target_groups_and_of_the_tasks(full, network):
    def watched(template):
        alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
        named = [(alarm, {each["Name"]: each["Value"] for each in alarm["Dimensions"]}) for alarm in alarms]
        return sorted((alarm["MetricName"], text_of(names.get("TargetGroup", ""))) for alarm, names in named)

    blue, green = (f"<{name}.TargetGroupFullName>" for name in of_type(full, TARGET_GROUP))
    assert watched(full) == [
        ("HTTPCode_ELB_5XX_Count", ""),
        ("HTTPCode_Target_5XX_Count", blue),
        ("HTTPCode_Target_5XX_Count", green),
        ("MatchedEvents", ""),
        ("TargetResponseTime", blue),
        ("TargetResponseTime", green),
        ("UnHealthyHostCount", blue),
        ("UnHealthyHostCount", green),
    ]
    assert watched(network) == [
        ("MatchedEvents", ""),
        *(("UnHealthyHostCount", f"<{name}.TargetGroupFullName>") for name in of_type(network, TARGET_GROUP)),
    ]


def test_alarms_tell_somebody(full):
    (topic,) = of_type(full, "AWS::SNS::Topic")
    assert all(alarm["AlarmActions"] == [{"Ref": topic}] for alarm in of_type(full, "AWS::CloudWatch::Alarm").values())


def test_tasks_that_fail_are_counted_and_their_reasons_kept(full):
    rule = only(full, "AWS::Events::Rule")
    assert rule["EventPattern"]["source"] == ["aws.ecs"]
    assert rule["EventPattern"]["detail"]["group"] == ["service:Full-Service"]
    assert rule["EventPattern"]["detail"]["stopCode"] == ["EssentialContainerExited", "TaskFailedToStart"]
    (name,) = of_type(full, "AWS::Events::Rule")
    (alarm,) = [
        each for each in of_type(full, "AWS::CloudWatch::Alarm").values() if each["MetricName"] == "MatchedEvents"
    ]
    assert alarm["Dimensions"] == [{"Name": "RuleName", "Value": {"Ref": name}}]
    (log,) = [
        each
        for each in of_type(full, "AWS::Logs::LogGroup").values()
        if each.get("LogGroupName") == "/aws/events/ecs/Full-Service"
    ]
    assert text_of(rule["Targets"][0]["Arn"]).endswith(":log-group:/aws/events/ecs/Full-Service")
    (statement,) = log["ResourcePolicyDocument"]["Statement"]
    assert "events.amazonaws.com" in statement["Principal"]["Service"]


def test_what_is_kept_is_protected_and_what_is_not_is_not(full, shifted):
    def protection(template):
        balancer = only(template, "AWS::ElasticLoadBalancingV2::LoadBalancer")
        return {each["Key"]: each["Value"] for each in balancer["LoadBalancerAttributes"]}[
            "deletion_protection.enabled"
        ]

    assert (protection(full), protection(shifted)) == ("true", "false")


def test_everything_is_in_the_cluster_s_vpc(network):
    assert service_of(network)["Cluster"] == {"Ref": "ClusterEB0386A7"}
    assert {group["VpcId"] for group in of_type(network, TARGET_GROUP).values()} == {"vpc-1"}
    assert of_type(network, "AWS::EC2::VPC") == {}


def test_the_template_tells_where_to_look(full, shifted, network):
    def outputs(template):
        return {name.rstrip("0123456789ABCDEF"): text_of(each["Value"]) for name, each in template["Outputs"].items()}

    assert outputs(full) == {
        "ServiceUrl": "https://<ServiceLoadBalancer31A7DB79.DNSName>/",
        "ServiceTestUrl": "https://<ServiceLoadBalancer31A7DB79.DNSName>:9001/",
    }
    assert outputs(shifted)["ServiceTestUrl"].startswith("http://")
    assert "Outputs" not in network


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"cpu": 300}, "cpu=300", "256, 512, 1024"),
        ({"memory_limit_mib": 4096}, "memory_limit_mib=4096 with cpu=256", "512, 1024, 2048"),
        ({"cpu": 4096}, "memory_limit_mib=512 with cpu=4096", "8192, 9216, …, 30720"),
        ({"tmpfs": {"/tmp": Size.mebibytes(512)}}, "tmpfs of 512 MiB", "memory_limit_mib="),
        ({"tmpfs": {"tmp": Size.mebibytes(1)}}, "tmpfs for 'tmp'", "/tmp"),
        ({"tmpfs": {"/": Size.mebibytes(1)}}, "tmpfs for '/'", "not the root"),
        ({"desired_count": 0}, "desired_count=0", "use 1 or more"),
        ({"environment": {"A": "1"}, "secrets": {"A": "a secret"}}, "A in environment= and in secrets=", "one value"),
        (
            {"environment": {"PASSWORD": SecretValue.secrets_manager("shop").unsafe_unwrap()}},
            "environment variable PASSWORD holds a secret",
            "secrets={'PASSWORD'",
        ),
        (
            {"deployment_controller": ecs.DeploymentControllerType.EXTERNAL},
            "EXTERNAL",
            "DeploymentControllerType.ECS or CODE_DEPLOY",
        ),
        ({"container_name": "my app"}, "container name 'my app'", "out of [A-Za-z0-9_-]"),
        ({"service_name": "shop.web"}, "service name 'shop.web'", "out of [A-Za-z0-9_-]"),
        ({"port": 0}, "port=0", "from 1 to 65535"),
        ({"port": 3000}, "nothing would answer on port 3000 at /", "give image="),
        ({"health_check_path": "/health"}, "port 8080 at /health", "give image="),
        ({"health_check_path": "health", "image": SERVER}, "health_check_path='health'", "start it with '/'"),
        ({"health_check_path": None}, "health_check_path=None", "load_balancer='network'"),
        ({"load_balancer": "classic"}, "load_balancer='classic'", "'application' or 'network'"),
        ({"listener_port": 8443}, "listener_port=8443 of an application load balancer", "load_balancer='network'"),
        ({"load_balancer": "network", "listener_port": 70000}, "listener_port=70000", "from 1 to 65535"),
        ({"test_listener": True, "test_listener_port": 443}, "test_listener_port=443", "8080"),
        ({"test_listener_peers": [ec2.Peer.any_ipv4()]}, "open to the internet", "name those who test"),
        ({"test_listener_peers": [OFFICE, ec2.Peer.any_ipv6()]}, "open to the internet", "name those who test"),
        (
            {"test_listener_peers": [ec2.Peer.ipv4("0.0.0.0/1"), ec2.Peer.ipv4("128.0.0.0/1")]},
            "open to the internet",
            "name those who test",
        ),
        ({"vpc": None, "nat_gateways": 0}, "nat_gateways=0", "use 1, or 2"),
        ({"removal_policy": RemovalPolicy.SNAPSHOT}, "SNAPSHOT", "RETAIN or DESTROY"),
    ],
)
def test_refuses(settings, problem, fix):
    with refuses(problem, at="Shop/Service", fix=fix):
        a_service(a_stack(), **settings)


def test_refuses_a_network_without_a_way_out_or_in():
    stack = a_stack()
    with refuses("no private subnets", at="Shop/Service", fix="PRIVATE_WITH_EGRESS"):
        a_service(stack, vpc=an_existing_vpc(stack, private=False))
    stack = a_stack()
    with refuses("no public subnets", at="Shop/Service", fix="internet_facing=False"):
        a_service(stack, vpc=an_existing_vpc(stack, public=False))


def test_refuses_a_vpc_beside_a_cluster():
    stack = a_stack()
    cluster = ecs.Cluster(stack, "Cluster", vpc=an_existing_vpc(stack))
    with refuses("cluster= and vpc=", at="Shop/Service", fix="give one of them"):
        a_service(stack, cluster=cluster, vpc=cluster.vpc)


def test_refuses_to_let_a_hook_in_where_nothing_listens():
    stack = a_stack()
    service = a_service(stack)
    hook = DeploymentHook(stack, "Hook", check=SmokeTest("http://shop.example/"), vpc=service.vpc)
    with refuses("no test listener to reach", at="Shop/Service", fix="test_listener=True"):
        service.let_in(hook)


def test_refuses_to_let_in_a_hook_from_anywhere():
    stack = a_stack()
    hook = DeploymentHook(stack, "Hook", check=SmokeTest("http://shop.example/"))
    with refuses("comes from an address that nobody knows", at="Shop/Hook", fix="vpc="):
        a_service(stack, test_listener=True).let_in(hook)


def test_what_only_the_deployment_knows_is_taken():
    stack = a_stack()
    size = Fn.import_value("Size")
    a_service(stack, environment={"SIZE": size}, test_listener_peers=[ec2.Peer.prefix_list("pl-1")])
    assert {"Name": "SIZE", "Value": {"Fn::ImportValue": "Size"}} in container(synthesized(stack))["Environment"]
