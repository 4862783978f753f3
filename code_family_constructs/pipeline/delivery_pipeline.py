"""Floor 2: source → build → one stage for each environment."""

from collections.abc import Sequence

import jsii
from aws_cdk import Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_kms as kms
from constructs import Construct, IConstruct, IValidation

from code_family_constructs.build import Build
from code_family_constructs.deploy import DeployContext, Deployment
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_name, physical_name
from code_family_constructs.permissions import Reader, ServiceRole, Statement, arn
from code_family_constructs.pipeline.approval import ManualApproval
from code_family_constructs.pipeline.artifact_store import ArtifactStore
from code_family_constructs.source.source import Source
from code_family_constructs.tokens import unresolved
from code_family_constructs.topic import AlertTopic

_PIPELINE_NAME = NameRule("pipeline", "[A-Za-z0-9.@_-]", 100)
_STAGE_NAME = NameRule("stage", "[A-Za-z0-9.@_-]", 100)
_ARTIFACT_NAME = NameRule("artifact", "[A-Za-z0-9_-]", 100)
_MOST_STAGES = 50


class DeliveryPipeline(Construct):
    """A CodePipeline V2 that takes each revision from its source through a build to one stage after the other.

    Creates the pipeline with one role for all its actions and, unless one is given, an `ArtifactStore`. The role may do
    what the stages need and nothing else; each `add_stage` adds to it. An action minute costs 0.002 USD, approvals are
    free.

    Args:
        scope: Parent construct.
        id: Construct id.
        source: Where revisions come from.
        build: Turns the source into what is deployed. Without it, stages deploy the source as it is.
        build_artifacts: Names of what the build leaves behind, `["Build"]` when left out. With more than one, each is
            the identifier of a secondary artifact in the buildspec.
        artifact_store: A store to share with other pipelines.
        execution_mode: What happens to a revision that arrives while another is under way.
        pipeline_name: Made from the stack's name when left out.

    Raises:
        ConfigurationError: A name that CodePipeline would refuse, or build artifacts without a build.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        source: Source,
        build: Build | None = None,
        build_artifacts: Sequence[str] | None = None,
        artifact_store: ArtifactStore | None = None,
        execution_mode: codepipeline.ExecutionMode = codepipeline.ExecutionMode.SUPERSEDED,
        pipeline_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._name = physical_name(self, scope, id, pipeline_name, _PIPELINE_NAME)
        if unresolved(self._name):
            raise ConfigurationError(
                "the pipeline's name is not known at synth time, but its roles are limited to the folder of that name",
                at=self,
                fix="give pipeline_name as plain text, or leave it out",
            )
        names = self._artifact_names(build_artifacts, build)

        self.artifact_store = artifact_store or ArtifactStore(self, "Artifacts")
        self.artifact_store.admit(self, self._name)
        self._source = source
        self._artifacts = {name: codepipeline.Artifact(name) for name in ("Source", *names)}
        self._projects: list[Build] = []
        self._stages = ["Source", "Build"] if build is not None else ["Source"]
        self._default_input = names[0] if names else "Source"
        self._role = ServiceRole(
            self,
            service="codepipeline.amazonaws.com",
            source_arn=arn("codepipeline", self._name),
            statements=[
                *self.artifact_store.permissions_of_pipeline(self._name),
                *source.permissions,
                *(self._use(build) if build else ()),
            ],
        )
        self.role = self._role.role
        self.pipeline = codepipeline.Pipeline(
            self,
            "Pipeline",
            pipeline_name=self._name,
            pipeline_type=codepipeline.PipelineType.V2,
            execution_mode=execution_mode,
            artifact_bucket=self.artifact_store.bucket,
            role=self._role.frozen,
            use_pipeline_role_for_actions=True,
            restart_execution_on_update=False,
            stages=self._first_stages(build, names),
        )
        if build is None:
            self.node.add_validation(_MoreThanASource(self._stages))

    def add_stage(
        self,
        name: str,
        *,
        approval: ManualApproval | None = None,
        deploy: Deployment | None = None,
        test: Build | None = None,
        input: str | None = None,
    ) -> codepipeline.IStage:
        """Adds a stage after those that are there: first the approval, then the deployment, then the test.

        Args:
            name: Name of the stage.
            approval: Somebody who has to agree first.
            deploy: What to deploy.
            test: A build that checks what was deployed; when it fails, the pipeline stops here.
            input: Name of the artifact that is deployed and that the test starts from; the build's first when left out.

        Raises:
            ConfigurationError: A stage without actions, a name used twice or that CodePipeline would refuse, an
                artifact that nothing makes, one that the deployment cannot read, or a deployment in another stack
                that would wait for this one's artifacts while this one waits for the deployment.
        """
        if unresolved(name):
            raise ConfigurationError(
                "the stage's name is not known at synth time", at=self, fix="give it as plain text"
            )
        check_name(self, name, _STAGE_NAME)
        self._check_stage(name, approval, deploy, test)
        artifact = self._artifact(name, input, deploy)
        stage_actions: list[codepipeline.IAction] = []
        permissions: list[Statement] = []
        if approval is not None:
            action, needed = self._approval_action(name, approval)
            stage_actions.append(action)
            permissions += needed
        if deploy is not None:
            deployed = deploy.deploy_action(
                DeployContext(
                    pipeline_name=self._name,
                    stage_name=name,
                    action_name="Deploy",
                    run_order=len(stage_actions) + 1,
                    revision=self._artifacts[artifact],
                )
            )
            stage_actions += [*deployed.prepared_by, deployed.action]
            permissions += deployed.permissions
            for allow in deployed.artifact_readers:
                if isinstance(allow, Reader):
                    self._check_reader(name, allow.at)
                allow(self.artifact_store.permissions_of_reader(self._name))
        if test is not None:
            permissions += self._use(test)
            stage_actions.append(self._build_action("Test", test, artifact, len(stage_actions) + 1, test=True))
        if permissions:
            self._role.allow(*permissions)
        self._stages.append(name)
        return self.pipeline.add_stage(stage_name=name, actions=stage_actions)

    def _first_stages(self, build: Build | None, names: Sequence[str]) -> list[codepipeline.StageProps]:
        source = self._source.source_action(self._artifacts["Source"])
        stages = [codepipeline.StageProps(stage_name="Source", actions=[source])]
        if build is not None:
            outputs = [self._artifacts[name] for name in names]
            action = self._build_action("Build", build, "Source", 1, outputs=outputs)
            stages.append(codepipeline.StageProps(stage_name="Build", actions=[action]))
        return stages

    def _use(self, build: Build) -> list[Statement]:
        """Lets a project use this pipeline's artifacts, and says what the pipeline needs of the project."""
        if any(build is known for known in self._projects):
            return []
        self._projects.append(build)
        store = self.artifact_store
        build.use_artifacts(
            store.key, store.key_arn, [*store.permissions_of_build(self._name), *self._source.build_permissions]
        )
        # https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeBuild.html
        return [Statement(actions=["codebuild:BatchGetBuilds", "codebuild:StartBuild"], resources=[build.project_arn])]

    def _build_action(
        self,
        action_name: str,
        build: Build,
        artifact: str,
        run_order: int,
        *,
        outputs: Sequence[codepipeline.Artifact] = (),
        test: bool = False,
    ) -> codepipeline.IAction:
        return actions.CodeBuildAction(
            action_name=action_name,
            project=build.project,
            input=self._artifacts[artifact],
            outputs=list(outputs),
            run_order=run_order,
            type=actions.CodeBuildActionType.TEST if test else actions.CodeBuildActionType.BUILD,
        )

    def _approval_action(
        self, stage: str, approval: ManualApproval
    ) -> tuple[codepipeline.IAction, Sequence[Statement]]:
        topic = approval.topic
        key: kms.IKey | None = approval.topic_key
        if approval.notify_emails:
            alert = AlertTopic(self, f"{stage}Approval", key=self.artifact_store.key, emails=approval.notify_emails)
            topic, key = alert.topic, alert.key
        permissions: list[Statement] = []
        if topic is not None:
            permissions.append(Statement(actions=["sns:Publish"], resources=[topic.topic_arn]))
            if key is not None and key is not self.artifact_store.key:
                permissions.append(Statement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[key.key_arn]))
        action = actions.ManualApprovalAction(
            action_name="Approve",
            additional_information=approval.question,
            external_entity_link=approval.review_url,
            notification_topic=topic,
            timeout=approval.timeout,
            run_order=1,
        )
        return action, permissions

    def _artifact_names(self, given: Sequence[str] | None, build: Build | None) -> Sequence[str]:
        if build is None:
            if given is not None:
                raise ConfigurationError(
                    f"build_artifacts={list(given)} without a build that makes them", at=self, fix="give build= too"
                )
            return ()
        if isinstance(given, str):
            raise ConfigurationError(
                f"build_artifacts={given!r} is no list", at=self, fix=f"write build_artifacts=[{given!r}]"
            )
        names = ("Build",) if given is None else tuple(given)
        for index, name in enumerate(names):
            check_name(self, name, _ARTIFACT_NAME)
            if name == "Source" or name in names[:index]:
                raise ConfigurationError(
                    f"two artifacts are called {name!r}", at=self, fix="give each of build_artifacts a name of its own"
                )
        if not 1 <= len(names) <= 5:
            raise ConfigurationError(
                f"a build with {len(names)} artifacts", at=self, fix="give build_artifacts 1 to 5 names"
            )
        return names

    def _check_stage(
        self, name: str, approval: ManualApproval | None, deploy: Deployment | None, test: Build | None
    ) -> None:
        if name in self._stages:
            raise ConfigurationError(
                f"stage {name!r} is in the pipeline already",
                at=self,
                fix=f"give each add_stage() a name of its own; taken are {', '.join(self._stages)}",
            )
        if len(self._stages) == _MOST_STAGES:
            raise ConfigurationError(
                f"stage {name!r} is number {_MOST_STAGES + 1}", at=self, fix=f"CodePipeline takes {_MOST_STAGES} stages"
            )
        if approval is None and deploy is None and test is None:
            raise ConfigurationError(f"stage {name!r} does nothing", at=self, fix="give it approval=, deploy= or test=")

    def _check_reader(self, stage: str, reader: IConstruct) -> None:
        ours, theirs = Stack.of(self), Stack.of(reader)
        if theirs is ours:
            return
        ours, theirs = _deployed_with(ours), _deployed_with(theirs)
        if theirs is not ours and _deployed_with(Stack.of(self.artifact_store)) is ours:
            raise ConfigurationError(
                f"stage {stage!r} deploys to stack {theirs.stack_name!r}, where {reader.node.path!r} would wait for "
                "the artifacts in the pipeline's stack, and the pipeline waits for that stack",
                at=self,
                fix="make an ArtifactStore in that stack, or in one of its own, and give it as artifact_store=",
            )

    def _artifact(self, stage: str, name: str | None, deploy: Deployment | None) -> str:
        name = self._default_input if name is None else name
        if name not in self._artifacts:
            raise ConfigurationError(
                f"stage {stage!r} takes artifact {name!r}, which nothing makes",
                at=self,
                fix=f"use one of {', '.join(self._artifacts)}",
            )
        if name == "Source" and self._source.full_clone and deploy is not None:
            raise ConfigurationError(
                f"stage {stage!r} deploys a full clone, which only CodeBuild can read",
                at=self,
                fix="deploy what a build makes of it, or leave out code_build_clone_output",
            )
        return name


def _deployed_with(stack: Stack) -> Stack:
    """The stack that a nested one is deployed with."""
    while stack.nested_stack_parent is not None:
        stack = stack.nested_stack_parent
    return stack


@jsii.implements(IValidation)
class _MoreThanASource:
    """Asked at the end, when no more stages can come."""

    def __init__(self, stages: Sequence[str]) -> None:
        self._stages = stages

    def validate(self) -> list[str]:
        if len(self._stages) > 1:
            return []
        return ["a pipeline with a source alone, CodePipeline wants two stages; fix: give build=, or call add_stage()"]
