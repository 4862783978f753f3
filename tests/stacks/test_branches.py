"""The stack of branches: the article's table row by row, what its reviewer reads, and what AWS's own checkers say."""

from itertools import product

import pytest
from aws_cdk.aws_codepipeline import GitPullRequestEvent

from code_family_constructs.pipeline.starts import PullRequest, Push
from code_family_constructs.testing import outline_of, template_of
from stacks.branches import Branches
from tests.helpers import of_type
from tests.policies import Simulation
from tests.stacks.review import (
    STATEFUL,
    Review,
    acknowledged,
    assert_both_packs_find_nothing,
    assert_cfn_lint_accepts,
    assert_no_token_leaks,
    assert_nothing_outlives_the_stack,
)

OPEN, UPDATED, CLOSED = GitPullRequestEvent.OPEN, GitPullRequestEvent.UPDATED, GitPullRequestEvent.CLOSED
PIPELINES = ("Feature", "Develop", "Main", "Release")
CODE, DOCS = ["index.py", "README.md"], ["README.md", "docs/guide.html", "docs/img/overview.png"]


def branches_stack(app):
    return Branches(app, "Branches", repository="acme/shop", approvers=["release@acme.example"])


@pytest.fixture(scope="module")
def branches(tmp_path_factory):
    return Review(branches_stack, tmp_path_factory.mktemp("branches"))


def started_by(stack, event):
    return {name for name in PIPELINES if getattr(stack, name.lower()).would_start(event)}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        # feature/*: tests only, on pull requests.
        (Push(branch="feature/login", files=CODE), set()),
        (Push(branch="feature/login", files=CODE, new_branch=True), set()),
        (PullRequest(event=OPEN, destination_branch="develop", files=CODE), {"Feature"}),
        (PullRequest(event=UPDATED, destination_branch="develop", files=CODE), {"Feature"}),
        (PullRequest(event=OPEN, destination_branch="main", files=CODE), {"Feature"}),
        (PullRequest(event=OPEN, destination_branch="release/1.2", files=CODE), {"Feature"}),
        (PullRequest(event=CLOSED, destination_branch="develop", files=CODE), set()),
        (PullRequest(event=OPEN, destination_branch="develop", files=DOCS), set()),
        # develop: to dev.
        (Push(branch="develop", files=CODE), {"Develop"}),
        (Push(branch="develop", files=DOCS), set()),
        # main: to staging and, when somebody approves, to production.
        (Push(branch="main", files=CODE), {"Main"}),
        (Push(branch="main", files=DOCS), set()),
        # release/*: a candidate, whatever changed.
        (Push(branch="release/1.2", files=CODE), {"Release"}),
        (Push(branch="release/1.2", files=CODE, new_branch=True), {"Release"}),
        (Push(branch="release/1.2", files=DOCS), {"Release"}),
        # Anything else: nothing.
        (Push(branch="mainline", files=CODE), set()),
        (Push(branch="release", files=CODE), set()),
        (Push(tag="v1.2"), set()),
    ],
    ids=str,
)
def test_each_event_starts_the_pipeline_of_its_row_and_no_other(branches, event, expected):
    assert started_by(branches.stack, event) == expected


def test_a_docs_only_commit_does_not_start_production(branches):
    decision = branches.stack.main.would_start(Push(branch="main", files=DOCS))
    assert not decision
    assert decision.reason.startswith("the push filter: file 'README.md' is excluded by '**/*.md'")


def stages_of(branches, name):
    (pipeline,) = [each for each in pipelines_of(branches) if each["Name"] == f"Branches-{name}"]
    return [
        [(action["Name"], action["ActionTypeId"]["Provider"]) for action in by_order(stage["Actions"])]
        for stage in pipeline["Stages"]
    ]


def by_order(actions):
    return sorted(actions, key=lambda action: action.get("RunOrder", 1))


def pipelines_of(branches):
    return of_type(branches.template, "AWS::CodePipeline::Pipeline").values()


GITHUB, BUILD = [("GitHub", "CodeStarSourceConnection")], [("Build", "CodeBuild")]


@pytest.mark.parametrize(
    ("name", "then"),
    [
        ("Feature", [[("Test", "CodeBuild")]]),
        ("Develop", [BUILD, [("Deploy", "Lambda")]]),
        ("Main", [BUILD, [("Deploy", "Lambda")], [("Approve", "Manual"), ("Deploy", "Lambda")]]),
        ("Release", [BUILD, [("Verify", "CodeBuild"), ("Lock", "S3")]]),
    ],
)
def test_each_row_does_what_the_table_says(branches, name, then):
    assert stages_of(branches, name) == [GITHUB, *then]


def test_production_gets_the_very_artifact_that_staging_has(branches):
    (main,) = [each for each in pipelines_of(branches) if each["Name"] == "Branches-Main"]
    inputs = [
        action["InputArtifacts"]
        for stage in main["Stages"][2:]
        for action in stage["Actions"]
        if action["ActionTypeId"]["Provider"] == "Lambda"
    ]
    assert inputs == [[{"Name": "Build"}]] * 2


def test_the_environments_are_functions_of_their_own(branches):
    releasers = [
        action["Configuration"]["FunctionName"]["Ref"]
        for pipeline in pipelines_of(branches)
        for stage in pipeline["Stages"]
        for action in stage["Actions"]
        if action["ActionTypeId"]["Provider"] == "Lambda"
    ]
    assert [name.partition("Deployment")[0] for name in releasers] == ["Dev", "Staging", "Production"]


def test_one_repository_one_connection_and_nobody_has_to_finish_its_handshake_first(branches):
    """CodeBuild could not make a webhook by a PENDING connection; a trigger waits until it is AVAILABLE."""
    (connection,) = branches.names_of("AWS::CodeConnections::Connection")
    sources = [each["Stages"][0]["Actions"][0]["Configuration"] for each in pipelines_of(branches)]
    assert [(each["ConnectionArn"]["Fn::GetAtt"][0], each["DetectChanges"]) for each in sources] == [
        (connection, False)
    ] * 4
    assert not any("Triggers" in project for project in of_type(branches.template, "AWS::CodeBuild::Project").values())


def test_pull_requests_and_release_branches_take_nothing_from_one_another(branches):
    """Where executions supersede one another, that of one branch would end that of another."""
    assert {each["Name"]: each["ExecutionMode"] for each in pipelines_of(branches)} == {
        "Branches-Feature": "PARALLEL",
        "Branches-Develop": "SUPERSEDED",
        "Branches-Main": "SUPERSEDED",
        "Branches-Release": "PARALLEL",
    }


@pytest.fixture(scope="module")
def iam(branches):
    return Simulation(branches.template)


def roles_of(iam, *starts):
    """Logical ids of the roles of pipelines and builds."""
    return [iam.physical.logical_id(start, "AWS::IAM::Role") for start in starts]


BUILDS = {
    "FeatureTestsRole": "Feature",
    "DevelopBuildRole": "Develop",
    "MainBuildRole": "Main",
    "ReleaseBuildRole": "Release",
}
WORKERS = {**BUILDS, **{f"{name}Role": name for name in PIPELINES}}


@pytest.mark.parametrize(("who", "folder"), list(product(WORKERS, PIPELINES)))
def test_what_one_branch_builds_is_no_artifact_of_another(iam, who, folder):
    (role,) = roles_of(iam, who)
    expected = "allowed" if WORKERS[who] == folder else "implicitly denied"
    artifact = objects_of(iam, f"Branches-{folder}/Build/AbC.zip")
    assert {action: iam.ask(role, action, artifact) for action in ("s3:GetObject", "s3:PutObject")} == {
        "s3:GetObject": expected,
        # What only tests makes no artifacts.
        "s3:PutObject": "implicitly denied" if who == "FeatureTestsRole" else expected,
    }


def test_a_candidate_comes_from_the_pipeline_of_releases_alone_and_nobody_takes_it_away(iam):
    candidate = objects_of(iam, "candidates/release/1.2/4f2a9c1d/1b2c3d4e.zip")
    may = {who: iam.ask(*roles_of(iam, who), "s3:PutObject", candidate) for who in WORKERS}
    assert may == {who: "allowed" if who == "ReleaseRole" else "implicitly denied" for who in WORKERS}
    deletes = ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutLifecycleConfiguration")
    assert {
        iam.ask(*roles_of(iam, who), action, candidate if "Object" in action else objects_of(iam, ""))
        for who, action in product(WORKERS, deletes)
    } == {"implicitly denied"}


@pytest.mark.parametrize(
    ("who", "reaches"), [("FeatureRole", []), ("DevelopRole", ["Dev"]), ("MainRole", ["Staging", "Production"])]
)
def test_a_pipeline_releases_to_its_own_environments_only(iam, who, reaches):
    (role,) = roles_of(iam, who)
    releasers = {
        name: iam.physical.attribute(
            iam.physical.logical_id(f"{name}DeploymentReleaserFunction", "AWS::Lambda::Function"), "Arn"
        )
        for name in ("Dev", "Staging", "Production")
    }
    allowed = [name for name, arn in releasers.items() if iam.ask(role, "lambda:InvokeFunction", arn) == "allowed"]
    assert allowed == reaches


def objects_of(iam, key):
    bucket = iam.physical.attribute(iam.physical.logical_id("ArtifactsBucket", "AWS::S3::Bucket"), "Arn")
    return f"{bucket}/{key}" if key else bucket


def test_four_pipelines_and_three_environments_in_this_order(branches, snapshot):
    assert outline_of(branches.stack) == snapshot(name="outline")


def test_template(branches, snapshot):
    assert template_of(branches.stack) == snapshot(name="template")


def test_both_nag_packs_looked_and_found_nothing(branches):
    assert_both_packs_find_nothing(branches)


def test_every_acknowledged_finding_is_known_and_has_a_reason(branches, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = acknowledged(branches)
    assert len(lines) == 51
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(branches):
    """A changed logical id is a new, empty resource, or an alias without its versions: a breaking change."""
    assert branches.names_of(*STATEFUL) == {
        "AlertsTopicCF7C81C9",
        "ArtifactsAccessLogsBucketE76260C0",
        "ArtifactsBucket88671897",
        "ArtifactsKeyA4B22E2B",
        "BucketEmptierFunctionLogs6DEA2D3B",
        "DevDeploymentAliasC51FD02A",
        "DevDeploymentApplication77E0F425",
        "DevDeploymentDeploymentGroup0F18D5EB",
        "DevDeploymentReleaserLogs6842CEAE",
        "DevGreeterLogs882A1049",
        "DevelopBuildLogs572EC198",
        "DevelopPipelineEAB25B1E",
        "FeaturePipeline0A1577E0",
        "FeatureTestsLogsDD219695",
        "GitHubConnection327BBDDD",
        "MainBuildLogsD37FBCB3",
        "MainPipelineD44697DE",
        "ProductionDeploymentAliasB2B89CD4",
        "ProductionDeploymentApplication64F656C5",
        "ProductionDeploymentDeploymentGroup7C770731",
        "ProductionDeploymentReleaserLogs4ADE0F57",
        "ProductionGreeterLogs0B378457",
        "ReleaseBuildLogs3A487558",
        "ReleasePipeline029915CD",
        "StagingDeploymentAliasD157FEEC",
        "StagingDeploymentApplication2D3C2A38",
        "StagingDeploymentDeploymentGroup7A964051",
        "StagingDeploymentReleaserLogs28DE7FE0",
        "StagingGreeterLogs53A64D85",
    }


def test_nothing_that_costs_money_outlives_the_stack(branches):
    assert_nothing_outlives_the_stack(branches)


def test_no_token_leaks_into_the_template(branches):
    assert_no_token_leaks(branches)


def test_feature_flags_of_the_app_do_not_change_our_resources(branches, tmp_path):
    plain = Review(branches_stack, tmp_path, {})
    assert_both_packs_find_nothing(plain)
    assert template_of(plain.stack) == template_of(branches.stack)


def test_cfn_lint_accepts_the_template(branches):
    assert_cfn_lint_accepts(branches)
