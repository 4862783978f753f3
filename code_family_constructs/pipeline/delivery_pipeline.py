"""Floor 2: source → build → one stage for each environment."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from code_family_constructs.actions import Action, ActionContext, StageAction
from code_family_constructs.artifacts import ArtifactUser
from code_family_constructs.build import Build
from code_family_constructs.cross_account import outermost
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_kind, check_name, environment_of, physical_name, stack_of
from code_family_constructs.permissions import Reader, ServiceRole, Statement, arn, pseudo
from code_family_constructs.pipeline.actions.code_build import CodeBuildAction
from code_family_constructs.pipeline.approval import ManualApproval
from code_family_constructs.pipeline.artifact_store import ArtifactStore
from code_family_constructs.pipeline.schedule import Schedules, ScheduleTrigger
from code_family_constructs.pipeline.structure_validation import StructureValidation
from code_family_constructs.pipeline.target_account import Targets
from code_family_constructs.pipeline.triggers import Trigger, Watched, check_triggers, git_trigger, starts_by_itself
from code_family_constructs.pipeline.variables import PipelineVariable, check_variables
from code_family_constructs.source import SourceContext
from code_family_constructs.source.console import console_page
from code_family_constructs.source.source import Source
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:  # for the pipelines that have conditions, and the tests that ask what starts one
    from code_family_constructs.pipeline.conditions import BeforeEntry, OnFailure, OnSuccess, StageConditions
    from code_family_constructs.pipeline.starts import Decision, PullRequest, Push

# What a stage does: one thing, or several at the same time by the names of their actions.
Step = Action | Build
Steps = Step | Mapping[str, Step]

_PIPELINE_NAME = NameRule("pipeline", "[A-Za-z0-9.@_-]", 100)
_STAGE_NAME = NameRule("stage", "[A-Za-z0-9.@_-]", 100)
_ACTION_NAME = NameRule("action", "[A-Za-z0-9.@_-]", 100)
_ARTIFACT_NAME = NameRule("artifact", "[A-Za-z0-9_-]", 100)
# Of several sources: room for the namespace that is made of it.
_SOURCE_NAME = NameRule("artifact", "[A-Za-z0-9_-]", 100 - len("Variables"))
_MOST_STAGES = 50
# What tells one revision from another, whatever the source is.
_REVISIONS = ("CommitId", "ImageDigest", "VersionId")


class DeliveryPipeline(Construct):
    """A CodePipeline V2 that takes each revision from its sources through a build to one stage after the other.

    Creates the pipeline with one role for all its actions and, unless one is given, an `ArtifactStore`. The role may do
    what the stages need and nothing else; each `add_stage` adds to it. An action minute costs 0.002 USD, approvals are
    free.

    An action that is made in a stack of another account or region runs there, by a role that this makes there and that
    trusts this pipeline alone; one that is no construct says where in a `TargetAction`. The first of them gives the
    bucket and roles names that others can know: each is made anew then, the bucket empty. Other regions need a store
    each.

    Variables have namespaces that can be relied on: `SourceVariables` (of several sources `<artifact>Variables`),
    `BuildVariables`, and `<stage>-<action>` for the actions of stages, such as `#{SourceVariables.CommitId}`.

    Args:
        scope: Parent construct.
        id: Construct id.
        source: Where revisions come from; or several sources by the names of their artifacts, the main one first. A
            build finds the main one in `CODEBUILD_SRC_DIR`, another one in `CODEBUILD_SRC_DIR_<name>`.
        build: Turns the sources into what is deployed; a `CodeBuildAction` for a batch or variables of its own. Without
            it, stages deploy the main source as it is.
        build_artifacts: Names of what the build leaves behind, `["Build"]` when left out. With more than one, each is
            the identifier of a secondary artifact in the buildspec.
        triggers: What starts the pipeline, all of it; `[]` leaves that to people. Left out, each source starts it with
            a change of its own.
        variables: What an execution is started with; `.reference` of each is what to write into actions.
        artifact_store: A store to share with other pipelines.
        cross_region_stores: Stores of other regions that actions run in, one for each region.
        execution_mode: What happens to a revision that arrives while another is under way.
        pipeline_name: Made from the stack's name when left out.

    Raises:
        ConfigurationError: A name that CodePipeline would refuse, triggers that contradict each other or their sources,
            build artifacts without a build, or a region without a store.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        source: Source | Mapping[str, Source],
        build: Build | CodeBuildAction | None = None,
        build_artifacts: Sequence[str] | None = None,
        triggers: Sequence[Trigger] | None = None,
        variables: Sequence[PipelineVariable] = (),
        artifact_store: ArtifactStore | None = None,
        cross_region_stores: Sequence[ArtifactStore] = (),
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
        self._sources = _sources(self, source)
        names = self._artifact_names(build_artifacts, build)
        self._triggers = triggers
        self._watched = {
            name: Watched(
                branch=one.branch,
                provider_type=one.provider_type,
                repository=one.repository,
                detects_changes=one.detects_changes,
            )
            for name, one in self._sources.items()
        }
        check_triggers(self, triggers, self._watched, variables=check_variables(self, variables))

        if artifact_store is not None:
            check_kind(self, "artifact_store", artifact_store, ArtifactStore, fix="give an ArtifactStore")
        self.artifact_store = artifact_store or ArtifactStore(self, "Artifacts")
        self.artifact_store.admit(self, self._name)
        self._artifacts = {name: codepipeline.Artifact(name) for name in self._sources}
        self._clones = frozenset(name for name, one in self._sources.items() if one.full_clone)
        # Who works on the artifacts, and whether it makes any; those that do come first.
        self._users: list[tuple[ArtifactUser, bool]] = []
        self._makers: dict[str, ArtifactUser] = {}
        # Stage → position of an action → properties that aws-cdk-lib does not know of.
        self._overrides: dict[str, Mapping[int, Mapping[str, Any]]] = {}
        self._execution_mode = execution_mode
        stack = stack_of(self)
        self._account, self._region = (None if unresolved(known) else known for known in environment_of(stack))
        self._approvals: list[str] = []
        # Path of each action → its namespace, and the variables in it as far as they are known.
        self._outputs: dict[str, tuple[str, frozenset[str] | None]] = {}
        self._stages = ["Source"]
        self._role = ServiceRole(
            self,
            service="codepipeline.amazonaws.com",
            source_arn=arn("codepipeline", self._name),
            statements=[
                *self.artifact_store.permissions_of_pipeline(self._name, lists=self._lists_bucket()),
                *(statement for one in self._sources.values() for statement in one.permissions),
            ],
        )
        self.role = self._role.role
        self._targets = Targets(
            self,
            pipeline_name=self._name,
            role=self.role,
            store=self.artifact_store,
            cross_region_stores=cross_region_stores,
        )
        if cross_region_stores:
            self._role.allow(*self._targets.pipeline_statements())
        source_actions = {name: one.source_action(self._source_context(name)) for name, one in self._sources.items()}
        self.pipeline = codepipeline.Pipeline(
            self,
            "Pipeline",
            pipeline_name=self._name,
            pipeline_type=codepipeline.PipelineType.V2,
            execution_mode=execution_mode,
            **self._targets.buckets(),
            role=self._role.frozen,
            use_pipeline_role_for_actions=True,
            restart_execution_on_update=False,
            variables=[variable.declaration() for variable in variables] or None,
            triggers=[
                trigger.trigger_props(source_actions[name])
                for name in self._sources
                if (trigger := git_trigger(triggers, name)) is not None
            ]
            or None,
            stages=[codepipeline.StageProps(stage_name="Source", actions=list(source_actions.values()))],
        )
        schedules = [trigger for trigger in triggers or () if isinstance(trigger, ScheduleTrigger)]
        if schedules:
            Schedules(
                self,
                "Schedules",
                triggers=schedules,
                pipeline_name=self._name,
                pipeline_arn=self.pipeline.pipeline_arn,
            )
        self._default_input = next(iter(self._sources))
        if build is not None:
            given = build if isinstance(build, CodeBuildAction) else CodeBuildAction(build=build)
            to_build = replace(
                given,
                type=actions.CodeBuildActionType.BUILD,
                input_artifacts=given.input_artifacts or list(self._sources),
                output_artifacts=names,
            )
            self._add_stage("Build", [{"Build": to_build}], None)
            self._default_input = names[0]
        regions = [self._region, *(stack_of(store).region for store in cross_region_stores)]
        self.node.add_validation(StructureValidation(self.pipeline, stack, regions, execution_mode, self._overrides))

    def add_stage(
        self,
        name: str,
        *,
        approval: Action | None = None,
        deploy: Steps | None = None,
        invoke: Steps | None = None,
        test: Steps | None = None,
        steps: Sequence[Mapping[str, Step]] | None = None,
        input: str | None = None,
        before_entry: "BeforeEntry | None" = None,
        on_success: "OnSuccess | None" = None,
        on_failure: "OnFailure | None" = None,
        transition_disabled_reason: str | None = None,
    ) -> codepipeline.IStage:
        """Adds a stage after those that are there: it asks, then deploys, then invokes, then tests.

        What is given as a mapping runs at the same time, each action under its name; when one fails, the others come to
        their end, then the stage has failed and nothing after it starts.

        Args:
            name: Name of the stage.
            approval: Somebody who has to agree first.
            deploy: What to deploy; a mapping is a wave over several accounts, regions or parts.
            invoke: What to run between the deployment and the test.
            test: Builds, or actions, that check what was deployed; when one fails, the pipeline stops here.
            steps: Instead of all of these, any actions in any order: each mapping runs at the same time, one mapping
                after the other.
            input: Name of the artifact that the stage is about; the build's first when left out.
            before_entry: What has to be true before the stage begins, such as a `change_freeze(…)`.
            on_success: What has to be true after all of its actions have succeeded, such as `bake(…)`.
            on_failure: What happens after one of them has failed: a retry, or a rollback.
            transition_disabled_reason: Closes the way into the stage until somebody opens it, and says why.

        Raises:
            ConfigurationError: A stage without actions, a name used twice or that CodePipeline would refuse, an
                artifact that nothing makes, one that an action cannot read, or a deployment in another stack
                that would wait for this one's artifacts while this one waits for the deployment.
        """
        if unresolved(name):
            raise ConfigurationError(
                "the stage's name is not known at synth time", at=self, fix="give it as plain text"
            )
        check_name(self, name, _STAGE_NAME)
        if deploy is not None and (input or self._default_input) in self._clones:
            raise ConfigurationError(
                f"stage {name!r} deploys a full clone, which only CodeBuild can read",
                at=self,
                fix="deploy what a build makes of it, or leave out code_build_clone_output",
            )
        given = {"Approve": approval, "Deploy": deploy, "Invoke": invoke, "Test": test}
        return self._add_stage(
            name,
            self._in_order(name, given, steps),
            input,
            before_entry=before_entry,
            on_success=on_success,
            on_failure=on_failure,
            transition_disabled_reason=transition_disabled_reason,
        )

    def add_waves(
        self,
        name: str,
        waves: Sequence[Mapping[str, Action]],
        *,
        approval: Action | None = None,
        test: Steps | Sequence[Steps] | None = None,
        input: str | None = None,
        before_entry: "BeforeEntry | None" = None,
        on_success: "OnSuccess | None" = None,
        on_failure: "OnFailure | None" = None,
    ) -> Sequence[codepipeline.IStage]:
        """Deploys to several accounts, regions or parts, a few at a time: a stage for each wave, one after the other.

        The line stops with the first wave that fails: no later one starts, and those before it stay as they are. What
        is in one wave is deployed at the same time.

        Args:
            name: The stages are called so, with the number of the wave after it.
            waves: What to deploy at the same time, by the names of the actions, wave after wave.
            approval: Somebody who has to agree before the first wave.
            test: What checks each wave before the next one starts; or a list of it, in the order of the waves.
            input: Name of the artifact that is deployed; the build's first when left out.
            before_entry: What has to be true before each wave.
            on_success: What has to be true after each wave, such as `bake(…)`.
            on_failure: What happens after a wave has failed.

        Raises:
            ConfigurationError: No waves, or what `add_stage` refuses.
        """
        if isinstance(waves, Mapping) or not waves:
            raise ConfigurationError(
                f"waves={waves!r}" if not waves else "waves that are no list",
                at=self,
                fix='write waves=[{"Ireland": …}, {"Oregon": …, "Tokyo": …}]',
            )
        tests = list(test) if isinstance(test, Sequence) else [test] * len(waves)
        if len(tests) != len(waves):
            raise ConfigurationError(
                f"{len(tests)} tests for {len(waves)} waves", at=self, fix="give a test for each wave, or one for all"
            )
        return [
            self.add_stage(
                f"{name}{number}",
                approval=approval if number == 1 else None,
                deploy=wave,
                test=check,
                input=input,
                before_entry=before_entry,
                on_success=on_success,
                on_failure=on_failure,
            )
            for number, (wave, check) in enumerate(zip(waves, tests, strict=True), start=1)
        ]

    def would_start(self, event: "Push | PullRequest", *, source: str | None = None) -> "Decision":
        """Whether something that happens in a repository starts the pipeline, and why.

        Nothing is synthesized for it, so that a test can say what starts no production.

        Args:
            event: What happens.
            source: Name of the source artifact whose repository it happens in; needed when there are several.

        Raises:
            ConfigurationError: There is no such source, or what is given does not decide it.
        """
        from code_family_constructs.pipeline.starts import would_start

        return would_start(event, triggers=self._triggers, sources=self._watched, source=source)

    def output(self, path: str, variable: str) -> str:
        """Reference to a variable that an action puts out, for any action after it.

        Args:
            path: The action, `stage/action`, or the stage where it has one action only: `Build`, `Source`.
            variable: Name of the variable: of a source such as `CommitId`; of a build, one of its buildspec's
                `exported-variables`; of a stack, one of its outputs.

        Raises:
            ConfigurationError: There is no such action so far, or its source does not put out such a variable.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
        """
        found = [each for each in self._outputs if path in (each, each.partition("/")[0])]
        if len(found) != 1:
            raise ConfigurationError(
                f"variable {variable!r} of {path!r}, which is {'several actions' if found else 'no action so far'}",
                at=self,
                fix=f"use one of {', '.join(self._outputs)}; what uses it comes after it",
            )
        namespace, known = self._outputs[found[0]]
        if known is not None and variable not in known:
            raise ConfigurationError(
                f"variable {variable!r} of {path!r}, which does not put it out",
                at=self,
                fix=f"use one of {', '.join(sorted(known))}",
            )
        return f"#{{{namespace}.{variable}}}"

    def compare_link(self, base: str, *, source: str | None = None) -> str:
        """Address that shows what the revision has more than a branch, for the links of an approval.

        Args:
            base: A branch, such as one that is moved on with each release.
            source: Name of the source artifact; the first when left out.

        Raises:
            ConfigurationError: There is no such source, or it has no page that compares.
        """
        name = next(iter(self._sources)) if source is None else source
        link = self._sources[name].compare_link(self._source_namespace(name), base) if name in self._sources else None
        if link is None:
            raise ConfigurationError(
                f"no page compares revisions of source {name!r}",
                at=self,
                fix=f"leave it out, or use one of {', '.join(self._sources)} that is a Git repository",
            )
        return link

    def grant_approval(self, grantee: iam.IGrantable, *, stage: str, action: str = "Approve") -> iam.Grant:
        """Lets somebody approve or reject what waits in a stage, and see what it is.

        Args:
            grantee: A role, such as that of the release managers.
            stage: Name of the stage.
            action: Name of the approval in it.

        Raises:
            ConfigurationError: There is no such approval.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals-iam-permissions.html
        """
        if f"{stage}/{action}" not in self._approvals:
            raise ConfigurationError(
                f"approval {action!r} in stage {stage!r}, which is not there",
                at=self,
                fix=f"use one of {', '.join(self._approvals) or 'those that add_stage(approval=…) makes'}",
            )
        ours = arn("codepipeline", self._name)
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=[
                "codepipeline:GetPipeline",
                "codepipeline:GetPipelineExecution",
                "codepipeline:GetPipelineState",
                "codepipeline:ListPipelineExecutions",
            ],
            resource_arns=[ours],
        )
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=["codepipeline:PutApprovalResult"], resource_arns=[f"{ours}/{stage}/{action}"]
        )

    def _add_stage(
        self,
        name: str,
        steps: Sequence[Mapping[str, Action]],
        input: str | None,
        *,
        before_entry: "BeforeEntry | None" = None,
        on_success: "OnSuccess | None" = None,
        on_failure: "OnFailure | None" = None,
        transition_disabled_reason: str | None = None,
    ) -> codepipeline.IStage:
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
        revision = self._default_input if input is None else input
        if revision not in self._artifacts:
            raise ConfigurationError(
                f"stage {name!r} takes artifact {revision!r}, which nothing makes",
                at=self,
                fix=f"use one of {', '.join(self._artifacts)}",
            )
        before = list(self._artifacts)
        made: list[codepipeline.IAction] = []
        permissions: list[Statement] = []
        overrides: dict[int, Mapping[str, Any]] = {}
        run_order = 1
        for step in steps:
            ends, outputs = [], dict[str, codepipeline.Artifact]()
            for action_name, action in step.items():
                one = self._make(action, self._context(name, action_name, run_order, revision))
                ends.append(run_order + len(one.prepared_by) + 1)
                permissions += [*one.permissions, *one.pipeline_permissions]
                for user in one.builds:
                    self._let_use_artifacts(user, makes=bool(one.outputs))
                self._check_outputs(name, one, outputs)
                outputs |= one.outputs
                self._clones |= one.clones
                self._makers |= {artifact: user for artifact in one.outputs for user in one.builds}
                known = frozenset(getattr(action, "output_variables", ())) or None
                self._outputs[f"{name}/{action_name}"] = (_namespace(name, action_name), known)
                made += [*one.prepared_by, one.action]
                if one.overrides:
                    overrides[len(made) - 1] = one.overrides
            # What runs at the same time cannot work on one another's results.
            self._artifacts |= outputs
            run_order = max(ends)
        self._stages.append(name)
        conditions = None
        if before_entry is not None or on_success is not None or on_failure is not None:
            conditions = self._conditions(name, revision, before, before_entry, on_success, on_failure)
            for user in conditions.builds:
                self._let_use_artifacts(user, makes=False)
            permissions += conditions.permissions
        if permissions:
            self._role.allow(*permissions)
        stage = self.pipeline.add_stage(
            stage_name=name,
            actions=made,
            before_entry=conditions.before_entry if conditions else None,
            on_success=conditions.on_success if conditions else None,
            on_failure=conditions.on_failure if conditions else None,
            transition_to_enabled=None if transition_disabled_reason is None else False,
            transition_disabled_reason=transition_disabled_reason,
        )
        if overrides:
            self._overrides[name] = overrides
            self._override(int(self.pipeline.stage_count) - 1, overrides)
        return stage

    def _conditions(
        self,
        name: str,
        revision: str,
        before: Sequence[str],
        before_entry: "BeforeEntry | None",
        on_success: "OnSuccess | None",
        on_failure: "OnFailure | None",
    ) -> "StageConditions":
        from code_family_constructs.pipeline.conditions import stage_conditions
        from code_family_constructs.pipeline.rules import RuleContext

        context = RuleContext(
            pipeline_name=self._name,
            stage_name=name,
            revision=revision,
            artifacts=before,
            stage_artifacts=[artifact for artifact in self._artifacts if artifact not in before],
            only_for_builds=self._clones,
            account=self._account,
            region=self._region,
        )
        return stage_conditions(
            self,
            context,
            before_entry=before_entry,
            on_success=on_success,
            on_failure=on_failure,
            execution_mode=self._execution_mode,
        )

    def _make(self, action: Action, context: ActionContext) -> StageAction:
        made = self._targets.stage_action(action, context)
        if isinstance(action, ManualApproval):
            self._approvals.append(f"{context.stage_name}/{context.action_name}")
        for one in made.prepared_by:
            if isinstance(one, actions.ManualApprovalAction):
                self._approvals.append(f"{context.stage_name}/{one.action_properties.action_name}")
        for allow in made.artifact_readers:
            if isinstance(allow, Reader):
                self._check_reader(context.stage_name, allow.at)
            allow(self.artifact_store.permissions_of_reader(self._name))
        return made

    def _let_use_artifacts(self, user: ArtifactUser, *, makes: bool) -> None:
        known = next((each for each in self._users if each[0] is user), None)
        if known is not None and (known[1] or not makes):
            return
        self._users.insert(0, (user, makes))
        store = self.artifact_store
        fetched = [statement for one in self._sources.values() for statement in one.build_permissions]
        statements = [*store.permissions_of_build(self._name, makes=makes), *(() if known else fetched)]
        user.use_artifacts(store.key, store.key_arn, statements)

    def _context(self, stage_name: str, action_name: str, run_order: int, revision: str) -> ActionContext:
        return ActionContext(
            pipeline_name=self._name,
            stage_name=stage_name,
            action_name=action_name,
            run_order=run_order,
            revision=self._artifacts[revision],
            artifacts=dict(self._artifacts),
            only_for_builds=self._clones,
            namespace=_namespace(stage_name, action_name),
            maker=self._makers.get(revision),
            release=self._release(),
            scope=self,
            key=self.artifact_store.key,
        )

    def _lists_bucket(self) -> bool:
        # https://docs.aws.amazon.com/codepipeline/latest/userguide/troubleshooting.html
        return any(source.provider == "CodeCommit" for source in self._sources.values())

    def _source_namespace(self, artifact: str) -> str:
        return "SourceVariables" if len(self._sources) == 1 else f"{artifact}Variables"

    def _source_context(self, artifact: str) -> SourceContext:
        source = self._sources[artifact]
        name = source.action_name if len(self._sources) == 1 else artifact
        self._outputs[f"Source/{name}"] = (self._source_namespace(artifact), source.variables)
        return SourceContext(
            scope=self,
            pipeline_name=self._name,
            action_name=name,
            output=self._artifacts[artifact],
            namespace=self._source_namespace(artifact),
            detect_changes=starts_by_itself(self._triggers, artifact, self._watched[artifact]),
        )

    def _release(self) -> list[str]:
        """What a person can be told about a revision and its way so far."""
        lines: list[str] = []
        for artifact, source in self._sources.items():
            namespace = self._source_namespace(artifact)
            known = {name: f"#{{{namespace}.{name}}}" for name in source.variables}
            who = f" by {known['AuthorDisplayName']}" if "AuthorDisplayName" in known else ""
            what = f": {known['CommitMessage']}" if "CommitMessage" in known else ""
            revision = next((known[name] for name in _REVISIONS if name in known), source.describe)
            lines.append(f"{artifact} {revision}{who}{what}")
            link = source.revision_link(namespace)
            if link is not None:
                lines.append(link)
        execution = "executions/#{codepipeline.PipelineExecutionId}/visualization"
        page = console_page(self._region or pseudo().region, f"codepipeline/pipelines/{self._name}/{execution}")
        return [*lines, f"Builds and tests: {page}"]

    def _override(self, stage: int, overrides: Mapping[int, Mapping[str, Any]]) -> None:
        resource: Any = self.pipeline.node.default_child
        for index, properties in overrides.items():
            for name, value in properties.items():
                resource.add_property_override(f"Stages.{stage}.Actions.{index}.{name}", value)

    def _in_order(
        self, stage: str, given: Mapping[str, Steps | None], steps: Sequence[Mapping[str, Step]] | None
    ) -> list[Mapping[str, Action]]:
        """The actions of a stage, one step after the other."""
        named = [
            dict(one) if isinstance(one, Mapping) else {name: one} for name, one in given.items() if one is not None
        ]
        if steps is not None and named:
            raise ConfigurationError(
                f"stage {stage!r} has steps= and more",
                at=self,
                fix="put all of its actions into steps=, in their order",
            )
        if isinstance(steps, Mapping):
            raise ConfigurationError(
                f"steps of stage {stage!r} are no list", at=self, fix="write steps=[{…}], one mapping after the other"
            )
        for step in steps or ():
            check_kind(self, "a step", step, Mapping, fix='write steps=[{"Unit": …, "Lint": …}, {"Smoke": …}]')
        in_order = named if steps is None else [dict(step) for step in steps]
        names = [name for step in in_order for name in step]
        if not names or not all(in_order):
            raise ConfigurationError(
                f"stage {stage!r} does nothing" if not names else f"a step of stage {stage!r} does nothing",
                at=self,
                fix="give it approval=, deploy=, invoke=, test= or steps=",
            )
        for index, name in enumerate(names):
            check_name(self, name, _ACTION_NAME)
            if name in names[:index]:
                raise ConfigurationError(
                    f"two actions of stage {stage!r} are called {name!r}", at=self, fix="give each a name of its own"
                )
        return [{name: self._as_action(stage, name, one) for name, one in step.items()} for step in in_order]

    def _as_action(self, stage: str, name: str, step: Step) -> Action:
        # An action may be a build too; what it says itself about its place in a stage goes first.
        if hasattr(step, "stage_action"):
            return cast(Action, step)
        if hasattr(step, "use_artifacts"):
            return CodeBuildAction(build=step)
        raise ConfigurationError(
            f"action {name!r} of stage {stage!r} is a {type(step).__name__}, which no stage can run",
            at=self,
            fix="give it an action, such as an Ec2Deployment or a CodeBuildAction, or a BuildProject",
        )

    def _check_outputs(self, stage: str, made: StageAction, beside: Mapping[str, Any]) -> None:
        for name in made.outputs:
            check_name(self, name, _ARTIFACT_NAME)
            if name in self._artifacts or name in beside:
                raise ConfigurationError(
                    f"stage {stage!r} makes artifact {name!r}, which something else makes too",
                    at=self,
                    fix="give each artifact of the pipeline a name of its own",
                )

    def _artifact_names(self, given: Sequence[str] | None, build: Build | CodeBuildAction | None) -> Sequence[str]:
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
        if isinstance(build, CodeBuildAction) and build.output_artifacts:
            if given is not None:
                raise ConfigurationError(
                    f"build_artifacts={list(given)} and a CodeBuildAction with output_artifacts",
                    at=self,
                    fix="give one of the two",
                )
            given = build.output_artifacts
        names = ("Build",) if given is None else tuple(given)
        for index, name in enumerate(names):
            check_name(self, name, _ARTIFACT_NAME)
            if name in self._sources or name in names[:index]:
                raise ConfigurationError(
                    f"two artifacts are called {name!r}", at=self, fix="give each of build_artifacts a name of its own"
                )
        if not 1 <= len(names) <= 5:
            raise ConfigurationError(
                f"a build with {len(names)} artifacts", at=self, fix="give build_artifacts 1 to 5 names"
            )
        return names

    def _check_reader(self, stage: str, reader: IConstruct) -> None:
        ours, theirs = stack_of(self), stack_of(reader)
        if theirs is ours:
            return
        ours, theirs = outermost(ours), outermost(theirs)
        if theirs is not ours and outermost(stack_of(self.artifact_store)) is ours:
            raise ConfigurationError(
                f"stage {stage!r} deploys to stack {theirs.stack_name!r}, where {reader.node.path!r} would wait for "
                "the artifacts in the pipeline's stack, and the pipeline waits for that stack",
                at=self,
                fix="make an ArtifactStore in that stack, or in one of its own, and give it as artifact_store=",
            )


def _namespace(stage: str, action: str) -> str:
    # What AWS's console calls them; and no dot, which ends a namespace.
    return "BuildVariables" if stage == action == "Build" else f"{stage}-{action}".replace(".", "-")


def _sources(at: Construct, source: Source | Mapping[str, Source]) -> dict[str, Source]:
    if isinstance(source, Source):
        return {"Source": source}
    check_kind(at, "source", source, Mapping, fix='give Source.github(…), or several by name: {"App": …, "Infra": …}')
    for name, one in source.items():
        check_kind(at, f"source {name!r}", one, Source, fix="give Source.github(…) or another of Source's")
    if not source:
        raise ConfigurationError("a pipeline without a source", at=at, fix="give source= a Source")
    for name in source:
        check_name(at, name, _SOURCE_NAME if len(source) > 1 else _ARTIFACT_NAME)
    return dict(source)
