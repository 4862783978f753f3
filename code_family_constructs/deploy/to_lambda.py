"""Floor 1: shift the traffic of a Lambda function while CloudFormation updates its stack."""

from aws_cdk import CustomResource, Duration, RemovalPolicy
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from code_family_constructs.deploy.hooks import DeploymentHook
from code_family_constructs.deploy.lambda_alias import (
    APPLICATION_NAME,
    CANARY,
    AliasShift,
    check_circle,
    check_function,
    check_keep_versions,
    gate_of,
    hooks_of,
    prune_statements,
)
from code_family_constructs.deploy.traffic_routing import shift_of
from code_family_constructs.functions import PythonFunction
from code_family_constructs.health import HealthGate
from code_family_constructs.names import physical_name


class LambdaDeployment(Construct):
    """Shifts an alias from version to version of a Lambda function, a part of the traffic first, back on alarm.

    Whatever updates the stack is the release: a change of the function's code or configuration makes a version, and
    CloudFormation has CodeDeploy shift the alias to it before the update goes on. When a hook fails or an alarm fires,
    CodeDeploy shifts back, and CloudFormation undoes all of the update. Use it where function and code are deployed
    together: from a laptop, or in a pipeline by a `StackDeployment` of the function's stack. This construct is nothing
    that a stage can deploy. Where a pipeline brings new code and nothing else, use `LambdaCodeDeployment`; do not
    release the same function both ways.

    Creates the version and the alias, a CodeDeploy application and deployment group with a role of their own, and
    three alarms on the alias unless a health gate is given (0.10 USD a month each). What calls the function has to call
    `alias`. The first deployment of all has no version to come from, and shifts nothing; neither does an update that
    leaves the function as it is. Who updates the stack needs `codedeploy:CreateDeployment`, `GetDeployment`,
    `GetDeploymentConfig`, `GetApplicationRevision` and `RegisterApplicationRevision` besides what the update needs.

    Old versions are kept, since going back needs them; they count towards the 75 GB of code in a region, and go when
    the function goes. With `keep_versions`, a small Lambda function deletes old ones after each shift. Those that an
    alias sends traffic to, all of it or a part, always stay. What it cannot delete is in its log and is tried again
    after the next release: no release is rolled back for it.

    Args:
        scope: Parent construct.
        id: Construct id.
        function: A function of this stack.
        alias_name: Name of the alias.
        traffic_routing: How fast: all at once, or steps in whole minutes, in 48 hours at most.
        health: Alarms that stop and roll back a deployment, instead of those on the alias's errors, throttles and
            duration against the function's timeout; `HealthGate.watch_function_alias` adds these to a gate of one's
            own. What stands between callers and the alias, such as an API, refers to the alias; an alarm that refers to
            it in turn closes a circle that CloudFormation refuses.
        pre_traffic_hook: Checks the new version before it gets traffic.
        post_traffic_hook: Checks it when it has all of the traffic.
        keep_versions: How many of the newest versions are kept, 2 or more; all when left out.
        application_name: Name of the CodeDeploy application; made from the stack's name when left out.

    Raises:
        ConfigurationError: A function that this stack does not make, a name, a number or a traffic routing that AWS
            would refuse, or a health gate without alarms or with one that refers to the alias.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-updatepolicy.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function: lambda_.Function,
        alias_name: str = "live",
        traffic_routing: codedeploy.TrafficRouting = CANARY,
        health: HealthGate | None = None,
        pre_traffic_hook: DeploymentHook | None = None,
        post_traffic_hook: DeploymentHook | None = None,
        keep_versions: int | None = None,
        application_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        name = physical_name(self, scope, id, application_name, APPLICATION_NAME)
        check_keep_versions(self, keep_versions)
        shift = shift_of(self, traffic_routing)
        hooks = hooks_of(self, pre_traffic_hook, post_traffic_hook)
        if health is not None:
            health.check_alarms(self)
        check_function(self, function, alias_name)

        function_name, function_arn = function.function_name, function.function_arn
        self.health = gate_of(self, health, function, function_name, alias_name)
        self.version = function.current_version
        # Kept when the next one takes its place, to go back to. But not when the update that made it is undone: Lambda
        # would publish the same code as the same version a second time, which CloudFormation takes for a failure.
        self.version.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        self.alias = lambda_.Alias(self, "Alias", alias_name=alias_name, version=self.version)
        made = AliasShift(
            self,
            name=name,
            alias=self.alias,
            function_arn=function_arn,
            shift=shift,
            routing=traffic_routing,
            health=self.health,
            hooks=hooks,
        )
        self.application = made.application
        self.deployment_group = made.deployment_group
        self.role = made.role
        self.health.on_added(lambda alarm: check_circle(self, self.alias, alarm))
        if keep_versions is not None:
            self._prune(function_name, function_arn, keep_versions)

    def _prune(self, function_name: str, function_arn: str, keep: int) -> None:
        pruner = PythonFunction(
            self,
            "Pruner",
            module="prune_versions",
            shared=["custom_resource"],
            description="Deletes versions of a function that no alias needs any more",
            statements=prune_statements(function_arn),
            timeout=Duration.minutes(5),
            concurrency="CloudFormation calls it once for each release",
            failures="its answer is in CloudFormation's events, and what it left is tried again with the next release",
            network="it calls Lambda and CloudFormation's response URL alone; both are public endpoints",
        )
        pruned = CustomResource(
            self,
            "Prune",
            service_token=pruner.function.function_arn,
            resource_type="Custom::PruneVersions",
            service_timeout=Duration.minutes(15),
            # With the version, so that each release is an update.
            properties={"FunctionName": function_name, "Keep": str(keep), "Version": self.version.version},
        )
        pruned.node.add_dependency(self.alias)
