"""The fleet: private instances that are never all away, one public entrance, and a placeholder until the release."""

import pytest
from aws_cdk import App, CfnParameter, RemovalPolicy, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from code_family_constructs import Ec2Fleet
from code_family_constructs.deploy.ec2_fleet import Ec2BlueGreenFleet
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, allowed, of_type, only, refuses

CERTIFICATE_ARN = "arn:aws:acm:eu-west-1:111111111111:certificate/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
INGRESS = "AWS::EC2::SecurityGroupIngress"


def an_existing_vpc(stack, *, zones=2, public=True, private=True):
    names = [f"eu-west-1{letter}" for letter in "abc"[:zones]]
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Existing",
        vpc_id="vpc-1",
        vpc_cidr_block="10.1.0.0/16",
        availability_zones=names,
        public_subnet_ids=[f"subnet-public-{name}" for name in names] if public else None,
        private_subnet_ids=[f"subnet-private-{name}" for name in names] if private else None,
    )


@pytest.fixture(scope="module")
def templates():
    app = App()
    plain = Stack(app, "Plain")
    topic = sns.Topic(plain, "Topic", master_key=kms.Key(plain, "Key"))
    Ec2Fleet(
        plain,
        "Fleet",
        certificate=None,
        port=8080,
        health_check_path="/health?deep=1",
        min_capacity=3,
        nat_gateways=2,
        alarm_topic=topic,
    )
    secure = Stack(app, "Secure")
    Ec2Fleet(
        secure,
        "Fleet",
        certificate=acm.Certificate.from_certificate_arn(secure, "Certificate", CERTIFICATE_ARN),
        vpc=an_existing_vpc(secure),
        instance_type=ec2.InstanceType("t4g.small"),
    )
    internal = Stack(app, "Internal")
    Ec2Fleet(
        internal,
        "Fleet",
        certificate=None,
        vpc=an_existing_vpc(internal, public=False),
        internet_facing=False,
        removal_policy=RemovalPolicy.DESTROY,
    )
    return {stack.stack_name: synthesized(stack) for stack in (plain, secure, internal)}


@pytest.fixture(scope="module")
def plain(templates):
    return templates["Plain"]


@pytest.fixture(scope="module")
def secure(templates):
    return templates["Secure"]


@pytest.fixture(scope="module")
def internal(templates):
    return templates["Internal"]


def launched(template):
    return only(template, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]


def entrance(template):
    """Addresses from which the load balancer's security group admits traffic, by port."""
    (group,) = [
        group
        for group in of_type(template, "AWS::EC2::SecurityGroup").values()
        if group["GroupDescription"].startswith("Load balancer")
    ]
    return {(rule["FromPort"], text_of(rule.get("CidrIp", ""))) for rule in group.get("SecurityGroupIngress", ())}


def attributes(template):
    balancer = only(template, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    return {attribute["Key"]: attribute["Value"] for attribute in balancer["LoadBalancerAttributes"]}


def test_instances_get_no_public_address(plain):
    (interface,) = launched(plain)["NetworkInterfaces"]
    assert interface["AssociatePublicIpAddress"] is False
    subnets = only(plain, "AWS::AutoScaling::AutoScalingGroup")["VPCZoneIdentifier"]
    assert len(subnets) == 2
    assert all("Private" in subnet["Ref"] for subnet in subnets)


def test_no_subnet_hands_out_public_addresses(plain):
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in of_type(plain, "AWS::EC2::Subnet").values())


def test_instances_take_traffic_from_the_load_balancer_on_the_applications_port_only(plain):
    (rule,) = of_type(plain, INGRESS).values()
    assert (rule["FromPort"], rule["ToPort"]) == (8080, 8080)
    assert "Entrance" in text_of(rule["SourceSecurityGroupId"])
    (instances,) = [
        group
        for group in of_type(plain, "AWS::EC2::SecurityGroup").values()
        if group["GroupDescription"] == "Instances of the fleet"
    ]
    assert "SecurityGroupIngress" not in instances


def test_instances_reach_https_and_nothing_else(plain):
    (instances,) = [
        group
        for group in of_type(plain, "AWS::EC2::SecurityGroup").values()
        if group["GroupDescription"] == "Instances of the fleet"
    ]
    assert [(rule["IpProtocol"], rule["FromPort"]) for rule in instances["SecurityGroupEgress"]] == [("tcp", 443)]


def test_credentials_cannot_be_had_through_imdsv1_or_from_a_container(plain):
    options = launched(plain)["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)


def test_volumes_are_encrypted(plain):
    (disk,) = launched(plain)["BlockDeviceMappings"]
    assert disk["Ebs"]["Encrypted"] is True


def test_instances_may_open_a_session_and_fetch_the_agent_and_nothing_else(plain):
    assert allowed(plain, "FleetRole") == {
        "ssm:UpdateInstanceInformation on *",
        "ssmmessages:CreateControlChannel on *",
        "ssmmessages:CreateDataChannel on *",
        "ssmmessages:OpenControlChannel on *",
        "ssmmessages:OpenDataChannel on *",
        "s3:GetObject on arn:<AWS::Partition>:s3:::aws-codedeploy-<AWS::Region>/*",
    }


def test_placeholder_port_follows_the_fleet(plain, secure):
    assert '(("", 8080), Placeholder)' in launched(plain)["UserData"]["Fn::Base64"]
    assert '(("", 80), Placeholder)' in launched(secure)["UserData"]["Fn::Base64"]


def test_a_port_from_a_parameter_reaches_the_placeholder():
    stack = a_stack()
    port = CfnParameter(stack, "Port", type="Number", default=8080).value_as_number
    Ec2Fleet(stack, "Fleet", certificate=None, vpc=an_existing_vpc(stack), port=port)  # type: ignore[arg-type]
    template = synthesized(stack)
    assert '(("", <Port>), Placeholder)' in text_of(launched(template)["UserData"]["Fn::Base64"])
    assert only(template, "AWS::ElasticLoadBalancingV2::TargetGroup")["Port"] == {"Ref": "Port"}


def test_load_balancer_asks_for_the_health_of_the_application(plain):
    target_group = only(plain, "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert (target_group["Port"], target_group["Protocol"]) == (8080, "HTTP")
    assert target_group["HealthCheckPath"] == "/health?deep=1"
    assert target_group["Matcher"] == {"HttpCode": "200"}


def test_an_instance_that_the_load_balancer_gives_up_is_replaced(plain):
    group = only(plain, "AWS::AutoScaling::AutoScalingGroup")
    assert "ELB" in group["HealthCheckType"]
    assert group["HealthCheckGracePeriod"] == 300


def test_a_new_image_replaces_one_instance_while_all_others_serve(plain):
    group = only(plain, "AWS::AutoScaling::AutoScalingGroup")
    assert (group["MinSize"], group["MaxSize"]) == ("3", "6")
    (resource,) = [r for r in plain["Resources"].values() if r["Type"] == "AWS::AutoScaling::AutoScalingGroup"]
    update = resource["UpdatePolicy"]["AutoScalingRollingUpdate"]
    assert (update["MaxBatchSize"], update["MinInstancesInService"]) == (1, 3)


def test_instances_wait_for_a_way_out_before_they_install_the_agent(plain):
    (resource,) = [r for r in plain["Resources"].values() if r["Type"] == "AWS::AutoScaling::AutoScalingGroup"]
    ways_out = {name for name in of_type(plain, "AWS::EC2::Route") if "Private" in name}
    assert len(ways_out) == 2
    assert ways_out <= set(resource["DependsOn"])


def test_two_nat_gateways_survive_the_loss_of_a_zone(plain):
    assert len(of_type(plain, "AWS::EC2::NatGateway")) == 2


def test_traffic_of_the_network_is_logged(plain):
    flow_log = only(plain, "AWS::EC2::FlowLog")
    assert (flow_log["TrafficType"], flow_log["LogDestinationType"]) == ("ALL", "s3")


def test_alarms_report_to_the_given_topic(plain):
    (topic,) = of_type(plain, "AWS::SNS::Topic")
    alarms = of_type(plain, "AWS::CloudWatch::Alarm").values()
    assert len(alarms) == 3
    assert all(alarm["AlarmActions"] == [{"Ref": topic}] for alarm in alarms)


def test_plain_http_is_served_on_port_80_when_that_is_the_choice(plain):
    listener = only(plain, "AWS::ElasticLoadBalancingV2::Listener")
    assert (listener["Port"], listener["Protocol"]) == (80, "HTTP")
    assert entrance(plain) == {(80, "0.0.0.0/0")}


def test_with_a_certificate_plain_http_is_redirected(secure):
    listeners = {
        listener["Port"]: listener for listener in of_type(secure, "AWS::ElasticLoadBalancingV2::Listener").values()
    }
    https, http = listeners[443], listeners[80]
    assert https["Certificates"] == [{"CertificateArn": CERTIFICATE_ARN}]
    assert https["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2-")
    (redirect,) = http["DefaultActions"]
    assert redirect["RedirectConfig"] == {"Port": "443", "Protocol": "HTTPS", "StatusCode": "HTTP_301"}
    assert entrance(secure) == {(443, "0.0.0.0/0"), (80, "0.0.0.0/0")}
    (url,) = [output["Value"] for name, output in secure["Outputs"].items() if "Url" in name]
    assert text_of(url).startswith("https://")


def test_the_image_follows_the_processor(plain, secure):
    images = {
        stack: [p["Default"] for p in template["Parameters"].values() if "ami-amazon-linux" in p.get("Default", "")]
        for stack, template in (("x86", plain), ("arm", secure))
    }
    assert [image.rsplit("-", 1)[1] for image in images["x86"]] == ["x86_64"]
    assert [image.rsplit("-", 1)[1] for image in images["arm"]] == ["arm64"]


def test_an_existing_vpc_is_used_and_left_as_it_is(secure):
    made = {r["Type"] for r in secure["Resources"].values() if r["Type"].startswith("AWS::EC2::")}
    assert made == {
        "AWS::EC2::LaunchTemplate",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupEgress",
        INGRESS,
    }
    group = only(secure, "AWS::AutoScaling::AutoScalingGroup")
    assert group["VPCZoneIdentifier"] == ["subnet-private-eu-west-1a", "subnet-private-eu-west-1b"]
    balancer = only(secure, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert balancer["Subnets"] == ["subnet-public-eu-west-1a", "subnet-public-eu-west-1b"]


def test_an_internal_fleet_has_no_door_to_the_internet(internal):
    balancer = only(internal, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert balancer["Scheme"] == "internal"
    assert balancer["Subnets"] == ["subnet-private-eu-west-1a", "subnet-private-eu-west-1b"]
    assert not any("0.0.0.0/0" in address for _, address in entrance(internal))


def test_an_internal_fleet_is_reachable_from_its_vpc(internal):
    assert entrance(internal) == {(80, "10.1.0.0/16")}


def test_access_is_logged_to_the_fleets_own_bucket(plain):
    (bucket,) = of_type(plain, "AWS::S3::Bucket")
    logging = {key: value for key, value in attributes(plain).items() if key.startswith("access_logs")}
    assert logging == {
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": {"Ref": bucket},
        "access_logs.s3.prefix": "alb",
    }


def test_what_writes_logs_starts_after_the_bucket_admits_it_and_ends_before_it_is_emptied(plain, internal):
    for template, writers in ((plain, ("LoadBalancer", "FlowLog")), (internal, ("LoadBalancer",))):
        wait_for = set(of_type(template, "AWS::S3::BucketPolicy")) | set(of_type(template, "Custom::EmptyBucket"))
        for writer in writers:
            (resource,) = [r for r in template["Resources"].values() if r["Type"].endswith(f"::{writer}")]
            assert wait_for <= set(resource["DependsOn"])


def test_only_a_fleet_that_may_go_can_be_deleted_by_accident(plain, internal):
    assert attributes(plain)["deletion_protection.enabled"] == "true"
    assert attributes(internal)["deletion_protection.enabled"] == "false"
    assert not set(of_type(plain, "Custom::EmptyBucket"))
    assert set(of_type(internal, "Custom::EmptyBucket"))


@pytest.mark.parametrize(("port", "path"), [(1, "/"), (65535, "/" + "a" * 1023)])
def test_edges_of_what_a_load_balancer_takes_are_accepted(port, path):
    stack = a_stack()
    fleet = Ec2Fleet(
        stack,
        "Fleet",
        certificate=None,
        vpc=an_existing_vpc(stack),
        port=port,
        health_check_path=path,
        min_capacity=2,
        max_capacity=3,
    )
    assert fleet.target_group.health_check.path == path


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"min_capacity": 1}, "min_capacity=1", "use 2 or more"),
        ({"min_capacity": 0}, "min_capacity=0", "use 2 or more"),
        ({"min_capacity": 4, "max_capacity": 4}, "max_capacity=4", "use 5 or more"),
        ({"max_capacity": 1}, "max_capacity=1", "use 3 or more"),
        ({"port": 0}, "port=0", "use a port from 1 to 65535"),
        ({"port": 65536}, "port=65536", "use a port from 1 to 65535"),
        ({"health_check_path": ""}, "health_check_path=''", "start it with '/'"),
        ({"health_check_path": "health"}, "health_check_path='health'", "start it with '/'"),
        ({"health_check_path": "/" + "a" * 1024}, "health_check_path='/aaa", "at most 1024 ASCII characters"),
        ({"health_check_path": "/is healthy"}, "health_check_path='/is healthy'", "/"),
        ({"health_check_path": "/gesünder"}, "health_check_path='/gesünder'", "/"),
        ({"nat_gateways": 0}, "nat_gateways=0", "use 1, or 2 for one in each zone"),
        ({"nat_gateways": 3}, "nat_gateways=3", "use 1, or 2 for one in each zone"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_fails_when_the_fleet_could_not_work(settings, problem, fix):
    with refuses(problem, at="Shop/Fleet", fix=fix):
        Ec2Fleet(a_stack(), "Fleet", certificate=None, **settings)


def test_fails_when_the_vpc_has_no_private_subnets():
    stack = a_stack()
    with refuses("'Shop/Existing' has no private subnets", at="Shop/Fleet", fix="PRIVATE_WITH_EGRESS"):
        Ec2Fleet(stack, "Fleet", certificate=None, vpc=an_existing_vpc(stack, private=False))


def test_fails_when_a_public_load_balancer_has_no_public_subnets():
    stack = a_stack()
    with refuses("'Shop/Existing'", "public", at="Shop/Fleet", fix="internet_facing=False"):
        Ec2Fleet(stack, "Fleet", certificate=None, vpc=an_existing_vpc(stack, public=False))


def test_fails_when_the_vpc_is_in_one_zone_only():
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html ."""
    stack = a_stack()
    with refuses("'Shop/Existing'", at="Shop/Fleet", fix="two"):
        Ec2Fleet(stack, "Fleet", certificate=None, vpc=an_existing_vpc(stack, zones=1))


def test_a_vpc_with_another_way_out_needs_no_nat_gateway():
    stack = a_stack()
    Ec2Fleet(stack, "Fleet", certificate=None, vpc=an_existing_vpc(stack), nat_gateways=0)


def test_capacities_from_parameters_are_let_through():
    stack = a_stack()
    least, most = (CfnParameter(stack, name, type="Number").value_as_number for name in ("Least", "Most"))
    Ec2Fleet(
        stack,
        "Fleet",
        certificate=None,
        vpc=an_existing_vpc(stack),
        min_capacity=least,  # type: ignore[arg-type]
        max_capacity=most,  # type: ignore[arg-type]
    )
    group = only(synthesized(stack), "AWS::AutoScaling::AutoScalingGroup")
    assert (group["MinSize"], group["MaxSize"]) == ({"Ref": "Least"}, {"Ref": "Most"})


@pytest.fixture(scope="module")
def blue_green():
    app = App()
    plain = Stack(app, "Plain")
    Ec2BlueGreenFleet(plain, "Fleet", certificate=None, vpc=an_existing_vpc(plain), min_capacity=1, max_capacity=1)
    tested = Stack(app, "Tested")
    Ec2BlueGreenFleet(
        tested,
        "Fleet",
        certificate=acm.Certificate.from_certificate_arn(tested, "Certificate", CERTIFICATE_ARN),
        vpc=an_existing_vpc(tested),
        port=8000,
        health_check_path="/health",
        test_listener_peers=[ec2.Peer.ipv4("192.0.2.0/24"), ec2.Peer.prefix_list("pl-12345678")],
        test_listener_port=9443,
    )
    return {stack.stack_name: synthesized(stack) for stack in (plain, tested)}


@pytest.fixture(scope="module")
def tested(blue_green):
    return blue_green["Tested"]


def test_a_blue_green_fleet_is_a_fleet_without_its_auto_scaling_group(blue_green):
    stack = a_stack()
    Ec2Fleet(stack, "Fleet", certificate=None, vpc=an_existing_vpc(stack))
    in_place = synthesized(stack)["Resources"]
    without = {name: r for name, r in in_place.items() if r["Type"] != "AWS::AutoScaling::AutoScalingGroup"}
    kinds = sorted(resource["Type"] for resource in without.values())
    assert sorted(resource["Type"] for resource in blue_green["Plain"]["Resources"].values()) == kinds
    for kind in ("AWS::EC2::LaunchTemplate", "AWS::ElasticLoadBalancingV2::TargetGroup", "AWS::CloudWatch::Alarm"):
        ours = of_type(blue_green["Plain"], kind)
        assert text_of(ours).replace("Plain/Fleet", "Shop/Fleet") == text_of(of_type({"Resources": without}, kind))


def test_instances_that_come_later_take_traffic_from_the_load_balancer_on_the_applications_port_only(tested):
    (rule,) = [rule for rule in of_type(tested, INGRESS).values() if "SourceSecurityGroupId" in rule]
    assert (rule["FromPort"], rule["ToPort"]) == (8000, 8000)
    assert "Entrance" in text_of(rule["SourceSecurityGroupId"])


def test_testers_have_a_listener_and_a_target_group_of_their_own(tested):
    listeners = {
        listener["Port"]: listener for listener in of_type(tested, "AWS::ElasticLoadBalancingV2::Listener").values()
    }
    ours, theirs = listeners[443], listeners[9443]
    assert (theirs["Protocol"], theirs["Certificates"]) == (ours["Protocol"], ours["Certificates"])
    assert theirs["DefaultActions"] != ours["DefaultActions"]
    groups = of_type(tested, "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    assert [(one["Port"], one["HealthCheckPath"], one["TargetType"]) for one in groups] == [
        (8000, "/health", "instance"),
        (8000, "/health", "instance"),
    ]
    (url,) = [output["Value"] for name, output in tested["Outputs"].items() if "TestUrl" in name]
    assert text_of(url).startswith("https://")
    assert text_of(url).endswith(":9443/")


def test_the_test_listener_is_open_to_testers_only(tested):
    (group,) = [
        group
        for group in of_type(tested, "AWS::EC2::SecurityGroup").values()
        if group["GroupDescription"].startswith("Load balancer")
    ]
    rules = [*group["SecurityGroupIngress"], *of_type(tested, INGRESS).values()]
    admitted = {rule.get("CidrIp") or rule.get("SourcePrefixListId") for rule in rules if rule["FromPort"] == 9443}
    assert admitted == {"192.0.2.0/24", "pl-12345678"}


def test_without_testers_there_is_one_listener(blue_green):
    assert len(of_type(blue_green["Plain"], "AWS::ElasticLoadBalancingV2::Listener")) == 1
    assert entrance(blue_green["Plain"]) == {(80, "0.0.0.0/0")}


@pytest.mark.parametrize(
    "peers",
    [
        pytest.param([ec2.Peer.any_ipv4()], id="everybody"),
        pytest.param([ec2.Peer.any_ipv6()], id="everybody by IPv6"),
        pytest.param([ec2.Peer.ipv4("192.0.2.0/24"), ec2.Peer.ipv4("10.0.0.0/0")], id="everybody in other words"),
        pytest.param([ec2.Peer.ipv4("0.0.0.0/1"), ec2.Peer.ipv4("128.0.0.0/1")], id="everybody in two halves"),
    ],
)
def test_fails_when_the_test_listener_is_open_to_the_internet(peers):
    with refuses("open to the internet", at="Shop/Fleet", fix="name those who test"):
        Ec2BlueGreenFleet(a_stack(), "Fleet", certificate=None, test_listener_peers=peers)


@pytest.mark.parametrize("port", [80, 443, 0, 65536])
def test_fails_when_testers_cannot_have_the_port(port):
    with refuses(f"test_listener_port={port}", at="Shop/Fleet", fix="use another port"):
        Ec2BlueGreenFleet(
            a_stack(),
            "Fleet",
            certificate=None,
            test_listener_peers=[ec2.Peer.ipv4("192.0.2.0/24")],
            test_listener_port=port,
        )


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"min_capacity": 0}, "min_capacity=0", "use 1 or more"),
        ({"min_capacity": 3, "max_capacity": 2}, "max_capacity=2 is below min_capacity=3", "use 3 or more"),
        ({"port": 0}, "port=0", "use a port from 1 to 65535"),
        ({"health_check_path": "health"}, "health_check_path='health'", "start it with '/'"),
        ({"nat_gateways": 3}, "nat_gateways=3", "use 1, or 2"),
    ],
)
def test_fails_when_the_blue_green_fleet_could_not_work(settings, problem, fix):
    with refuses(problem, at="Shop/Fleet", fix=fix):
        Ec2BlueGreenFleet(a_stack(), "Fleet", certificate=None, **settings)
