"""Kubernetes: manifests or a chart, who is let in, and what is refused."""

from typing import Any

import pytest
from aws_cdk import CfnParameter
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from code_family_constructs.deploy.to_eks import EksDeployment
from code_family_constructs.testing import synthesized
from tests.helpers import a_context, a_stack, of_type, refuses

MANIFESTS: dict[str, Any] = {"manifest_files": ["shop.yaml"]}
CHART: dict[str, Any] = {"helm_release_name": "shop", "helm_chart_location": "charts/shop"}


def a_deployment(stack=None, **settings):
    stack = stack or a_stack()
    cluster = eks.Cluster.from_cluster_attributes(stack, "Cluster", cluster_name="kube")
    return EksDeployment(stack, "Deployment", **{"cluster": cluster, **settings})


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({}, "nothing to deploy", "manifest_files="),
        ({**MANIFESTS, **CHART}, "manifests and a Helm chart", "give manifest_files="),
        ({"helm_release_name": "shop"}, "without its name or location", "helm_chart_location="),
        ({**MANIFESTS, "helm_values_files": ["values.yaml"]}, "manifests and a Helm chart", "arguments for Helm"),
        ({**CHART, "helm_release_name": "Shop"}, "Helm release name 'Shop'", "[a-z0-9"),
        ({**CHART, "helm_chart_location": "/charts"}, "helm_chart_location='/charts'", "from the artifact's root"),
        ({"manifest_files": ["a,b.yaml"]}, "'a,b.yaml' has a comma in it", "by itself"),
        ({"manifest_files": ["a.yaml", "a.yaml"]}, "'a.yaml' is there twice", "by itself"),
        ({"manifest_files": "a.yaml"}, "manifest_files='a.yaml' is no list", "write manifest_files=["),
        ({"manifest_files": ["x" * 1001]}, "manifest_files of 1001 characters", "give the folder"),
        ({**MANIFESTS, "namespace": "Shop"}, "namespace name 'Shop'", "[a-z0-9"),
        (
            {**MANIFESTS, "environment": {f"A{number}": "b" for number in range(11)}},
            "11 environment variables",
            "at most 10",
        ),
        ({**MANIFESTS, "environment": {"A-B": "c"}}, "environment variable name 'A-B'", "[A-Za-z0-9_]"),
        ({**MANIFESTS, "environment": {"A": ""}}, "environment variable A of 0 characters", "1 to 2000"),
        ({**MANIFESTS, "environment": {"A": "x" * 2001}}, "A of 2001 characters", "1 to 2000"),
    ],
)
def test_what_the_action_would_refuse_is_refused(settings, problem, fix):
    with refuses(problem, at="Shop/Deployment", fix=fix):
        a_deployment(**settings)


def test_security_groups_are_for_network_interfaces():
    stack = a_stack()
    group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-1")
    with refuses("security groups without subnets", at="Shop/Deployment", fix="give subnets="):
        a_deployment(stack, **MANIFESTS, security_groups=[group])


def test_a_value_may_be_known_only_when_it_is_deployed():
    stack = a_stack()
    tag = CfnParameter(stack, "Tag").value_as_string
    made = a_deployment(stack, **MANIFESTS, environment={"IMAGE_TAG": tag}).stage_action(a_context())
    assert made.overrides == {"EnvironmentVariables": [{"Name": "IMAGE_TAG", "Value": tag}]}


def test_a_deployment_to_the_whole_cluster_lets_its_role_into_all_of_it():
    stack = a_stack()
    role = iam.Role.from_role_name(stack, "Pipelines", "pipeline")
    entry = a_deployment(stack, **MANIFESTS, access_policy="AmazonEKSClusterAdminPolicy").let_in(role)
    [policy] = stack.resolve(entry.access_policies)
    assert policy["accessScope"] == {"type": "cluster"}
    assert "AmazonEKSClusterAdminPolicy" in str(policy["policyArn"])


def test_a_role_has_one_entry_in_a_cluster():
    stack = a_stack()
    cluster = eks.Cluster.from_cluster_attributes(stack, "Cluster", cluster_name="kube")
    role = iam.Role.from_role_name(stack, "Pipelines", "pipeline")
    other = iam.Role.from_role_name(stack, "Others", "other")
    shop, web = (
        EksDeployment(stack, name, cluster=cluster, namespace=name.lower(), **MANIFESTS) for name in ("Shop", "Web")
    )
    entry = shop.let_in(role)
    assert web.let_in(role) is shop.let_in(role) is entry
    namespaces = [each["accessScope"]["namespaces"] for each in stack.resolve(entry.access_policies)]
    assert namespaces == [["shop"], ["web"]]
    assert shop.let_in(other) is not entry


def test_the_role_of_another_account_is_let_in_there():
    stack = a_stack()
    deployment = a_deployment(stack, **MANIFESTS)
    role = iam.Role.from_role_arn(stack, "Theirs", "arn:aws:iam::222222222222:role/release")
    deployment.stage_action(a_context(role=role))
    [entry] = of_type(synthesized(stack), "AWS::EKS::AccessEntry").values()
    assert entry["PrincipalArn"] == "arn:aws:iam::222222222222:role/release"


def test_a_cluster_that_knows_no_access_entries_is_refused():
    stack = a_stack()
    layer = lambda_.LayerVersion.from_layer_version_arn(
        stack, "Kubectl", "arn:aws:lambda:eu-west-1:111122223333:layer:kubectl:1"
    )
    cluster: Any = eks.Cluster(stack, "Kube", version=eks.KubernetesVersion.V1_33, kubectl_layer=layer)
    deployment = EksDeployment(stack, "Deployment", cluster=cluster, **MANIFESTS)
    with refuses("cluster 'Shop/Kube' takes no access entries", at="Shop/Deployment", fix="AuthenticationMode.API"):
        deployment.let_in(iam.Role.from_role_name(stack, "Pipelines", "pipeline"))


def test_over_there_a_network_goes_by_its_ids():
    stack = a_stack()
    known = ec2.Subnet.from_subnet_id(stack, "Known", "subnet-12345678")
    unknown = ec2.Subnet.from_subnet_id(stack, "Unknown", CfnParameter(stack, "SubnetId").value_as_string)
    assert a_deployment(stack, **MANIFESTS, subnets=[known]).stage_action(a_context(region="us-east-1"))
    other = a_stack()
    deployment = a_deployment(other, **MANIFESTS, subnets=[unknown])
    with refuses("get their ids when they are deployed", at="Shop/Deployment", fix="import them by their ids"):
        deployment.stage_action(a_context(region="us-east-1"))
