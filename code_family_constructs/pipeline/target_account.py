"""Floor 2: deploy to other accounts and regions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aws_cdk import Environment, Stack, Stage
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from constructs import Construct

from code_family_constructs.actions import Action, ActionContext, StageAction
from code_family_constructs.cross_account import fixed_role_arn, outermost, partition_of
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_list, stack_of
from code_family_constructs.permissions import Permissions, Reader, Statement
from code_family_constructs.pipeline.artifact_store import FETCH, MAKE, TAKE, Access, ArtifactStore
from code_family_constructs.tokens import unresolved


@dataclass(frozen=True, slots=True)
class TargetEnvironment:
    """An account and region that something is deployed to, and what people call it.

        PRODUCTION = TargetEnvironment("Production", account="333333333333", region="eu-west-1")
        production = Stack(app, f"Shop{PRODUCTION.name}", env=PRODUCTION.env)

    Args:
        name: Such as `Staging`; letters and digits, so that it can be a part of names.
        account: Twelve digits, in quotes: an account's number may start with 0.
        region: Such as `eu-west-1`.

    Raises:
        ConfigurationError: No account or region looks like that.
    """

    name: str
    account: str
    region: str

    def __post_init__(self) -> None:
        rules = {
            "name": ("[A-Za-z][A-Za-z0-9]*", "start with a letter, and use letters and digits"),
            "account": ("[0-9]{12}", "write its twelve digits in quotes, '012345678901'"),
            "region": ("[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}", "write it as in 'eu-west-1', without a zone's letter"),
        }
        for argument, (pattern, fix) in rules.items():
            given = getattr(self, argument)
            if not isinstance(given, str) or not re.fullmatch(pattern, given):
                raise ConfigurationError(f"{argument}={given!r}", at=f"TargetEnvironment({self.name!r})", fix=fix)

    @property
    def env(self) -> Environment:
        """For the stacks that are deployed there."""
        return Environment(account=self.account, region=self.region)


@dataclass(frozen=True, slots=True)
class TargetAction:
    """An action that is to run in the account and region of a stack.

    For actions that own no resources. What is a construct, such as an `Ec2Deployment`, runs where its stack is anyway.

    Args:
        action: The action.
        stack: Any stack over there. It gets the role that the action runs as.
    """

    action: Action
    stack: Stack

    def stage_action(self, context: ActionContext) -> StageAction:
        return self.action.stage_action(context)


class TargetAccount(Construct):
    """The role that a pipeline's actions have in another account or region.

    Creates an IAM role with permissions for these actions and for their artifacts. It trusts the one role of the
    pipeline, by name: neither role has to exist before the other one. A pipeline makes one in each stack that it
    deploys to, and the artifact store of that region lets it in.

    The order in which a pipeline and what it deploys to come to be, from accounts with nothing in them but CDK's
    bootstrap stack: artifact stores of other regions and stacks with targets, in any order, then the pipeline's own
    stack. Nothing refers to what is not there yet, and `cdk deploy --all` keeps to the order.

    Args:
        scope: A stack over there.
        id: Construct id.
        pipeline_name: Physical name of the pipeline, for the role's description.
        pipeline_role_arn: Role of the pipeline, as text.
    """

    def __init__(self, scope: Construct, id: str, *, pipeline_name: str, pipeline_role_arn: str) -> None:
        super().__init__(scope, id)
        account = pipeline_role_arn.split(":")[4]
        self.role = iam.Role(
            self,
            "Role",
            description=f"Actions of pipeline {pipeline_name} of account {account}",
            assumed_by=iam.PrincipalWithConditions(
                iam.AccountPrincipal(account), {"ArnEquals": {"aws:PrincipalArn": pipeline_role_arn}}
            ),
        )
        self.role_arn = fixed_role_arn(self.role)
        self._permissions = Permissions(self, "RolePolicy", role_names=[self.role.role_name])

    def allow(self, *statements: Statement) -> None:
        """Adds statements to the role's policy."""
        self._permissions.add(statements)


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """What a pipeline knows of a stack that it deploys to."""

    account: TargetAccount
    role: iam.IRole
    store: ArtifactStore
    region: str | None


class Targets:
    """Where a pipeline's actions run, and what it takes for them to run in other accounts and regions.

    An action that is a construct of a stack in another account or region gets a role there, which the pipeline's role
    may assume and nobody else. The artifact store of that region lets it, and whoever fetches revisions over there, in
    by name.

    Args:
        pipeline: The pipeline's construct.
        pipeline_name: Its physical name.
        role: Its role. It gets a name when the first target has to say it.
        store: Artifact store of its own region.
        cross_region_stores: Those of other regions, in the pipeline's account.

    Raises:
        ConfigurationError: A store of another account, or a second one for a region.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-create-cross-account.html
    https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-create-cross-region.html
    """

    def __init__(
        self,
        pipeline: Construct,
        *,
        pipeline_name: str,
        role: iam.Role,
        store: ArtifactStore,
        cross_region_stores: Sequence[ArtifactStore] = (),
    ) -> None:
        check_list(pipeline, "cross_region_stores", cross_region_stores)
        self._pipeline = pipeline
        self._pipeline_name = pipeline_name
        self._role = role
        self._stack = stack_of(pipeline)
        self._store = store
        self._stores = self._by_region(cross_region_stores)
        self._targets: dict[Stack, _Target] = {}
        # Artifacts that are made elsewhere → account and region.
        self._made_in: dict[str, tuple[str, str]] = {}
        for other in self._stores.values():
            other.admit(pipeline, pipeline_name)
            self._wait_for(stack_of(other))

    def pipeline_statements(self) -> list[Statement]:
        """What the pipeline's role needs of the artifact stores of other regions."""
        return [
            statement
            for store in self._stores.values()
            for statement in store.permissions_of_pipeline(self._pipeline_name, from_other_region=True)
        ]

    def buckets(self) -> dict[str, Any]:
        """The artifact buckets, as arguments of aws-cdk-lib's pipeline."""
        if not self._stores:
            return {"artifact_bucket": self._store.bucket}
        others = {region: store.seen_from(self._pipeline, f"Store-{region}") for region, store in self._stores.items()}
        return {"cross_region_replication_buckets": {self._stack.region: self._store.bucket, **others}}

    def stage_action(self, action: Action, context: ActionContext) -> StageAction:
        """The action, made for where it runs.

        Args:
            action: A construct runs where its stack is, a `TargetAction` where it says, any other with the pipeline.
            context: Its place in the pipeline.

        Raises:
            ConfigurationError: An environment that is not known at synth time, a region without an artifact store, an
                action that can only run with the pipeline, or an artifact that it could not read over there.
        """
        stack = action.stack if isinstance(action, TargetAction) else None
        if stack is None and isinstance(action, Construct):
            stack = stack_of(action)
        if stack is None or self._is_home(context, stack):
            made = action.stage_action(context)
            for user in made.builds:
                if isinstance(user, Construct) and not self._is_home(context, stack_of(user)):
                    raise self._build_elsewhere(context)
            for each in (*made.prepared_by, made.action) if self._made_in else ():
                self._check_inputs(context, each.action_properties.inputs or (), self._stack)
            return made
        target = self._target(context, outermost(stack))
        made = action.stage_action(replace(context, role=target.role, region=target.region))
        access = self._check(context, made, stack)
        store, name = target.store, self._pipeline_name
        target.account.allow(
            *made.permissions,
            *(part for one, artifacts in access for part in store.permissions_elsewhere(name, one, artifacts)),
        )
        for one, artifacts in access:
            store.let_in(name, one, target.account.role_arn, artifacts)
        for reader in made.artifact_readers:
            if not isinstance(reader, Reader) or not reader.roles:
                raise ConfigurationError(
                    f"action {context.action_name!r} has its revision fetched in account {stack.account} by roles that "
                    "are not known",
                    at=self._pipeline,
                    fix="have the deployment name them: Reader(…, roles=[…]) in artifact_readers",
                )
            reader(store.permissions_elsewhere(name, FETCH))
            # Roles of the store's own account need no name for it.
            if stack.account != self._stack.account:
                for role in reader.roles:
                    store.let_in(name, FETCH, fixed_role_arn(role))
        assume = Statement(actions=["sts:AssumeRole"], resources=[target.account.role_arn])
        return replace(
            made,
            permissions=(),
            artifact_readers=(),
            pipeline_permissions=[*made.pipeline_permissions, assume],
        )

    def _by_region(self, stores: Sequence[ArtifactStore]) -> dict[str, ArtifactStore]:
        found: dict[str, ArtifactStore] = {}
        ours = self._stack
        for store in stores:
            theirs = stack_of(store)
            place = f"artifact store {store.node.path!r} is in account {theirs.account}, region {theirs.region}"
            if any(unresolved(part) for part in (ours.account, ours.region, theirs.account, theirs.region)):
                raise ConfigurationError(
                    f"artifact store {store.node.path!r} is for another region, and nothing says which",
                    at=self._pipeline,
                    fix="give the stacks of pipeline and store env= with account and region",
                )
            if theirs.account != ours.account:
                raise ConfigurationError(
                    f"{place}, the pipeline in account {ours.account}",
                    at=self._pipeline,
                    fix=f"make the store in a stack of account {ours.account}; it lets the other account in by itself",
                )
            if theirs.region == ours.region:
                raise ConfigurationError(
                    f"{place}, the pipeline's own", at=self._pipeline, fix="give it as artifact_store="
                )
            if theirs.region in found:
                raise ConfigurationError(
                    f"{place}, and so is {found[theirs.region].node.path!r}",
                    at=self._pipeline,
                    fix="give cross_region_stores one store for each region",
                )
            found[theirs.region] = store
        return found

    def _is_home(self, context: ActionContext, stack: Stack) -> bool:
        ours = self._stack
        if stack is ours:
            return True
        places = [(part.account, part.region) for part in (stack, ours)]
        if places[0] == places[1]:
            return True
        if any(unresolved(part) for place in places for part in place):
            raise ConfigurationError(
                f"stage {context.stage_name!r} deploys to stack {stack.stack_name!r}, and nothing says whether that is "
                "in the pipeline's account and region",
                at=self._pipeline,
                fix="give the stacks of both env= with account and region",
            )
        return False

    def _target(self, context: ActionContext, stack: Stack) -> _Target:
        if stack in self._targets:
            return self._targets[stack]
        region, account, ours = stack.region, stack.account, self._stack
        store = self._check_target(context, stack)
        self._wait_for(stack)
        made = TargetAccount(
            stack,
            f"{self._pipeline_name}@{ours.account}.{ours.region}",
            pipeline_name=self._pipeline_name,
            pipeline_role_arn=fixed_role_arn(self._role),
        )
        role = iam.Role.from_role_arn(
            self._pipeline, f"RoleIn-{stack.stack_name}-{account}-{region}", made.role_arn, mutable=False
        )
        self._targets[stack] = _Target(made, role, store, None if region == ours.region else region)
        return self._targets[stack]

    def _check_target(self, context: ActionContext, stack: Stack) -> ArtifactStore:
        ours = self._stack
        there = f"stage {context.stage_name!r} deploys to stack {stack.stack_name!r} in {stack.region}"
        if partition_of(stack.region) != partition_of(ours.region):
            raise ConfigurationError(
                f"{there}, the pipeline is in {ours.region}: no role of one partition can be assumed from another",
                at=self._pipeline,
                fix=f"make a pipeline in {stack.region} for it",
            )
        if stack.region != ours.region:
            if stack.region not in self._stores:
                raise ConfigurationError(
                    f"{there}, and there is no artifact store in that region",
                    at=self._pipeline,
                    fix="give cross_region_stores=[ArtifactStore(…)] with one in a stack of account "
                    f"{ours.account} and region {stack.region}",
                )
            return self._stores[stack.region]
        home = stack_of(self._store)
        if (home.account, home.region) != (ours.account, ours.region):
            raise ConfigurationError(
                f"artifact store {self._store.node.path!r} is in account {home.account}, region {home.region}, the "
                f"pipeline in {ours.account}, {ours.region}",
                at=self._pipeline,
                fix="give artifact_store= one of the pipeline's own account and region",
            )
        return self._store

    def _wait_for(self, stack: Stack) -> None:
        ours = outermost(self._stack)
        if stack is ours:
            return
        if Stage.of(stack) is not Stage.of(ours):
            raise ConfigurationError(
                f"stack {stack.node.path!r} has to be deployed before the pipeline's, and is in another cdk.Stage",
                at=self._pipeline,
                fix="make both stacks in one Stage, or in the App itself",
            )
        try:
            ours.add_stack_dependency(stack, f"pipeline {self._pipeline_name} starts when it is made")
        except RuntimeError as error:
            raise ConfigurationError(
                f"stack {stack.stack_name!r} has to be deployed before the pipeline's, and waits for it in turn",
                at=self._pipeline,
                fix="let what both need be made in a third stack",
            ) from error

    def _check(self, context: ActionContext, made: StageAction, stack: Stack) -> Sequence[tuple[Access, Sequence[str]]]:
        """What the actions do to which artifacts; raises ConfigurationError for what they cannot do over there."""
        what = f"action {context.action_name!r} of stage {context.stage_name!r}"
        # A build at home may be on the way, such as one that checks a change set.
        if not all(isinstance(user, Construct) and self._is_home(context, stack_of(user)) for user in made.builds):
            raise self._build_elsewhere(context)
        takes, makes = False, list[str]()
        for action in (*made.prepared_by, made.action):
            properties = action.action_properties
            if properties.role is None and properties.region is None:
                continue  # an approval on the way, which the pipeline asks for itself
            if properties.provider == "CodeBuild":
                raise self._build_elsewhere(context)
            if (properties.owner or "AWS") != "AWS" or properties.category in _WITH_THE_PIPELINE:
                raise ConfigurationError(
                    f"{what} is of a kind that runs in the pipeline's own account and region only: "
                    f"{properties.owner or 'AWS'} {properties.provider}",
                    at=self._pipeline,
                    fix="leave out TargetAction, or make it in the pipeline's stack",
                )
            self._check_inputs(context, properties.inputs or (), stack)
            takes = takes or bool(properties.inputs)
            for artifact in properties.outputs or ():
                makes.append(str(artifact.artifact_name))
                self._made_in[makes[-1]] = (stack.account, stack.region)
        # What a target may write is its own: nobody but the build replaces what goes to the next one.
        return [*([(TAKE, ())] if takes or makes else ()), *([(MAKE, makes)] if makes else ())]

    def _build_elsewhere(self, context: ActionContext) -> ConfigurationError:
        return ConfigurationError(
            f"action {context.action_name!r} of stage {context.stage_name!r} is a build in another account or region, "
            "where what it makes would stay",
            at=self._pipeline,
            fix="make the project in a stack of the pipeline's account and region; from there it can test what is "
            "elsewhere",
        )

    def _check_inputs(self, context: ActionContext, inputs: Sequence[codepipeline.Artifact], stack: Stack) -> None:
        """Raises ConfigurationError for artifacts that do not get to where the stack is."""
        ours = self._stack
        for artifact in inputs:
            name = str(artifact.artifact_name)
            account, region = self._made_in.get(name, (ours.account, ours.region))
            takes = f"action {context.action_name!r} of stage {context.stage_name!r} takes artifact {name!r}"
            if account not in (ours.account, stack.account) and stack.account != ours.account:
                raise ConfigurationError(
                    f"{takes} in account {stack.account}, which is made in account {account}",
                    at=self._pipeline,
                    fix="make it in the pipeline's account: one target's artifacts are closed to another",
                )
            # https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-create-cross-region.html
            if region not in (ours.region, stack.region):
                raise ConfigurationError(
                    f"{takes} in {stack.region}, which is made in {region}: CodePipeline copies artifacts from the "
                    "pipeline's region to others, and never back",
                    at=self._pipeline,
                    fix=f"make it in {ours.region}, or use it in {region} alone",
                )


_WITH_THE_PIPELINE = (codepipeline.ActionCategory.SOURCE, codepipeline.ActionCategory.APPROVAL)
