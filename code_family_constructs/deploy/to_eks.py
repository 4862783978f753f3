"""Floor 1: deploy manifests or a Helm chart of the revision to Amazon EKS."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from constructs import Construct

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import arn_at, check_named, check_path, joined, log_statements
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_count, check_list, check_name
from code_family_constructs.permissions import Statement, pseudo
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_eks as eks
    from aws_cdk import aws_eks_v2 as eks_v2

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_NAMESPACE = NameRule("namespace", "[a-z0-9-]", 63, first="[a-z0-9]")
# https://helm.sh/docs/chart_template_guide/builtin_objects/
_RELEASE = NameRule("Helm release", "[a-z0-9.-]", 53, first="[a-z0-9]")
_VARIABLE = NameRule("environment variable", "[A-Za-z0-9_]", 128)
_MOST_VARIABLES = 10
_LONGEST_VALUE = 2000
_FEWER = "give the folder, or deploy in two actions"


class EksDeployment(Construct):
    """Deploys to a Kubernetes cluster of Amazon EKS: manifests by `kubectl apply`, or a chart by `helm upgrade`.

    CodePipeline's own action, on compute that it manages: its minutes are billed as CodeBuild's. V2 pipelines only. The
    action writes to the log group `/aws/codepipeline/<name of the pipeline>`, which it makes itself, so that it stays
    when the stack goes.

    IAM lets the action find the cluster; what it may do inside, the cluster decides. So the role that runs the action
    needs an access entry. In another account or region, where the pipeline makes a role for the action, this makes the
    entry too; the pipeline's own role gets one by `deployment.let_in(pipeline.role)`. Without it, the action fails with
    "the server has asked for the client to provide credentials".

    Args:
        scope: Parent construct.
        id: Construct id.
        cluster: The cluster; one of a `CfnCluster` by `eks.Cluster.from_cluster_attributes(…, cluster_name=…)`.
        manifest_files: Paths of manifests in the artifact. Or else:
        helm_release_name: Name of the release to install or upgrade.
        helm_chart_location: Path of the chart's folder, or of its `.tgz` file, in the artifact.
        helm_values_files: Paths of values files in the chart's folder, the last one wins.
        namespace: Namespace of the cluster; kubectl's default when left out.
        environment: Up to 10 values for the placeholders (`$IMAGE_TAG`) in manifests or values files; they may hold
            variables.
        subnets: Where the action's compute is to be, in the cluster's VPC: needed for a cluster whose endpoint is
            private. They need a way to S3, where the artifacts are.
        security_groups: Its security groups there.
        access_policy: Name of the access policy of Amazon EKS that whoever is let in gets, in the namespace if there is
            one, in the whole cluster otherwise. A chart that makes namespaces or cluster roles needs
            `AmazonEKSClusterAdminPolicy`, and no namespace.

    Raises:
        ConfigurationError: Both or none of the two ways, or a name, path or value that AWS or Kubernetes would refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-EKS.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        cluster: "eks.ICluster | eks_v2.ICluster",
        manifest_files: Sequence[str] = (),
        helm_release_name: str | None = None,
        helm_chart_location: str | None = None,
        helm_values_files: Sequence[str] = (),
        namespace: str | None = None,
        environment: Mapping[str, str] | None = None,
        subnets: "Sequence[ec2.ISubnet]" = (),
        security_groups: "Sequence[ec2.ISecurityGroup]" = (),
        access_policy: str = "AmazonEKSEditPolicy",
    ) -> None:
        super().__init__(scope, id)
        for argument, given in (
            ("manifest_files", manifest_files),
            ("helm_values_files", helm_values_files),
            ("subnets", subnets),
            ("security_groups", security_groups),
        ):
            check_list(self, argument, given)
        _check_way(self, manifest_files, helm_release_name, helm_chart_location, helm_values_files)
        if namespace is not None:
            check_name(self, namespace, _NAMESPACE)
        _check_environment(self, environment or {})
        if security_groups and not subnets:
            raise ConfigurationError(
                "security groups without subnets", at=self, fix="give subnets= as well, of the cluster's VPC"
            )
        self._cluster = cluster
        self._cluster_name = cluster.cluster_name
        self._namespace = namespace
        self._access_policy = access_policy
        self._subnets = [subnet.subnet_id for subnet in subnets]
        self._security_groups = [group.security_group_id for group in security_groups]
        self._environment = dict(environment or {})
        self._own: list[eks.CfnAccessEntry] = []
        self._configuration = {
            "ClusterName": self._cluster_name,
            "ManifestFiles": joined(self, "manifest_files", manifest_files, fix=_FEWER),
            "HelmReleaseName": helm_release_name,
            "HelmChartLocation": helm_chart_location,
            "HelmValuesFiles": joined(self, "helm_values_files", helm_values_files, fix="put them together in one"),
            "Namespace": namespace,
            "Subnets": joined(self, "subnets", self._subnets, fix="give fewer; two are enough"),
            "SecurityGroupIds": joined(self, "security_groups", self._security_groups, fix="give fewer"),
        }

    def let_in(self, role: iam.IRole) -> "eks.CfnAccessEntry":
        """Lets the role that runs the action into the cluster, such as the pipeline's.

        Creates the cluster's access entry for the role; a second deployment to the same cluster adds to it.

        Args:
            role: The role.

        Raises:
            ConfigurationError: A cluster that takes no access entries.

        https://docs.aws.amazon.com/eks/latest/userguide/access-policies.html
        """
        from aws_cdk import aws_eks as eks

        if isinstance(self._cluster, eks.Cluster):
            mode = self._cluster.authentication_mode
            if mode is None or mode is eks.AuthenticationMode.CONFIG_MAP:
                raise ConfigurationError(
                    f"cluster {self._cluster.node.path!r} takes no access entries",
                    at=self,
                    fix="make it with authentication_mode=eks.AuthenticationMode.API",
                )
        namespace = self._namespace
        policy = eks.CfnAccessEntry.AccessPolicyProperty(
            policy_arn=f"arn:{pseudo().partition}:eks::aws:cluster-access-policy/{self._access_policy}",
            access_scope=eks.CfnAccessEntry.AccessScopeProperty(
                type="cluster" if namespace is None else "namespace",
                namespaces=None if namespace is None else [namespace],
            ),
        )
        entries = _ENTRIES.setdefault(self._cluster, {})
        principal = role.role_arn
        if principal not in entries:
            number = str(len(self._own) + 1) if self._own else ""
            entry = eks.CfnAccessEntry(
                self, f"Access{number}", cluster_name=self._cluster_name, principal_arn=principal
            )
            entries[principal] = (entry, [])
            self._own.append(entry)
        entry, policies = entries[principal]
        if (self._access_policy, namespace) not in [given for given, _ in policies]:
            policies.append(((self._access_policy, namespace), policy))
            entry.access_policies = [each for _, each in policies]
        return entry

    def stage_action(self, context: ActionContext) -> StageAction:
        check_named(context, self, self._cluster, "cluster", "name")
        if context.elsewhere and any(map(unresolved, [*self._subnets, *self._security_groups])):
            raise ConfigurationError(
                "subnets or security groups get their ids when they are deployed, and the pipeline, in another account "
                "or region, has to know them before",
                at=self,
                fix="import them by their ids",
            )
        if context.role is not None:
            self.let_in(context.role)
        variables = [{"Name": name, "Value": value} for name, value in self._environment.items()]
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.DEPLOY,
                provider="EKS",
                configuration=self._configuration,
                inputs=[context.revision],
                bounds=(1, 1, 0, 0),
                namespace=context.namespace,
            ),
            permissions=[*self._statements(context), *log_statements(context)],
            overrides={"EnvironmentVariables": variables} if variables else {},
        )

    def _statements(self, context: ActionContext) -> list[Statement]:
        # https://docs.aws.amazon.com/codepipeline/latest/userguide/tutorials-eks-deploy.html#tutorials-eks-deploy-role
        statements = [
            Statement(
                actions=["eks:DescribeCluster"], resources=[arn_at(context, "eks", f"cluster/{self._cluster_name}")]
            ),
            Statement(
                actions=[
                    "ec2:DescribeDhcpOptions",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeRouteTables",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcs",
                ],
                resources=["*"],
                wildcard_reason="Describe actions of EC2 have no resource-level permissions",
            ),
        ]
        if not self._subnets:
            return statements
        subnets = [arn_at(context, "ec2", f"subnet/{subnet}") for subnet in self._subnets]
        reason = "network interfaces are numbered when they are made; they are made in these subnets only"
        return [
            *statements,
            Statement(
                actions=["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"],
                resources=["*"],
                conditions={"StringEqualsIfExists": {"ec2:Subnet": subnets}},
                wildcard_reason=reason,
            ),
            Statement(
                actions=["ec2:CreateNetworkInterfacePermission"],
                resources=["*"],
                conditions={"ArnEquals": {"ec2:Subnet": subnets}},
                wildcard_reason=reason,
            ),
        ]


# Of each cluster, the roles that are let in, and by which policies in which namespaces: a role has one entry.
_ENTRIES: "WeakKeyDictionary[Any, dict[str, tuple[eks.CfnAccessEntry, list[tuple[Any, Any]]]]]" = WeakKeyDictionary()


def _check_way(
    at: Construct, manifests: Sequence[str], release: str | None, chart: str | None, values: Sequence[str]
) -> None:
    helm = release is not None or chart is not None or bool(values)
    if helm and manifests:
        raise ConfigurationError(
            "manifests and a Helm chart in one action", at=at, fix="give manifest_files=, or the arguments for Helm"
        )
    if not manifests and (release is None or chart is None):
        raise ConfigurationError(
            "a Helm chart without its name or location" if helm else "nothing to deploy",
            at=at,
            fix="give helm_release_name= and helm_chart_location=" + ("" if helm else ", or manifest_files="),
        )
    if release is not None:
        check_name(at, release, _RELEASE)
    if chart is not None:
        check_path(at, "helm_chart_location", chart, example="charts/shop")
    for argument, paths in (("manifest_files", manifests), ("helm_values_files", values)):
        for path in paths:
            check_path(at, argument, path, example="deploy/shop.yaml")


def _check_environment(at: Construct, environment: Mapping[str, str]) -> None:
    check_count(at, list(environment), what="environment variables", most=_MOST_VARIABLES)
    for name, value in environment.items():
        check_name(at, name, _VARIABLE)
        length = len(re.sub(r"\$\{Token\[[^]]*\]\}", "x", value))
        if not 1 <= length <= _LONGEST_VALUE:
            raise ConfigurationError(
                f"environment variable {name} of {length} characters",
                at=at,
                fix=f"use 1 to {_LONGEST_VALUE} characters",
            )
        if unresolved(name):
            raise ConfigurationError(
                "the name of an environment variable is not known at synth time", at=at, fix="give it as plain text"
            )
