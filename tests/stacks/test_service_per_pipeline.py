"""The stack of services: what starts which, what one more costs, what its reviewer reads, and AWS's own checkers."""

from collections import Counter

import pytest
from aws_cdk import App

from code_family_constructs.pipeline.starts import Push
from code_family_constructs.testing import outline_of, synthesized, template_of
from stacks.service_per_pipeline import ServicePerPipeline
from tests.helpers import of_type, refuses
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

# One of them is the beginning of another one's name.
SERVICES = ("orders", "payment", "payment-api")


def services_stack(app, services=SERVICES):
    return ServicePerPipeline(
        app, "ServicePerPipeline", repository="acme/shop", services=services, approvers=["release@acme.example"]
    )


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    return Review(services_stack, tmp_path_factory.mktemp("services"))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Push(branch="main", files=["services/orders/index.py"]), {"orders"}),
        (Push(branch="main", files=["services/orders/tests/test_index.py"]), {"orders"}),
        (Push(branch="main", files=["services/payment/index.py"]), {"payment"}),
        (Push(branch="main", files=["services/payment-api/index.py"]), {"payment-api"}),
        (Push(branch="main", files=["services/orders/index.py", "services/payment/index.py"]), {"orders", "payment"}),
        (Push(branch="main", files=["README.md", "services/README.md", "shared/prices.py"]), set()),
        (Push(branch="main", files=["old/services/orders/index.py"]), set()),
        (Push(branch="develop", files=["services/orders/index.py"]), set()),
        (Push(tag="orders-1.2"), set()),
    ],
    ids=[
        *("orders", "a_folder_below", "payment", "a_longer_name", "two_services", "what_belongs_to_none"),
        *("a_folder_called_alike", "another_branch", "a_tag"),
    ],
)
def test_a_push_starts_the_pipelines_of_the_folders_that_it_changes(services, event, expected):
    assert {name for name, pipeline in services.stack.pipelines.items() if pipeline.would_start(event)} == expected


def test_a_push_of_more_files_than_codepipeline_looks_at_decides_nothing(services):
    others = [f"services/payment/data/{number}.json" for number in range(100)]
    with refuses("of 101 changed files 1 count", at="source 'Source'", fix="ask about fewer files"):
        services.stack.pipelines["orders"].would_start(Push(branch="main", files=["services/orders/index.py", *others]))


def test_each_builds_with_the_buildspec_of_its_folder(services):
    projects = of_type(services.template, "AWS::CodeBuild::Project").values()
    assert [
        (
            each["Source"]["BuildSpec"],
            [(one["Name"], one["Value"]) for one in each["Environment"]["EnvironmentVariables"]],
        )
        for each in projects
    ] == [(f"services/{name}/buildspec.yml", [("FOLDER", f"services/{name}")]) for name in SERVICES]


def test_each_has_a_pipeline_a_build_and_a_function_of_its_own(services):
    stages = {
        each["Name"]: [
            each["Stages"][1]["Actions"][0]["Configuration"]["ProjectName"]["Ref"],
            each["Stages"][2]["Actions"][1]["Configuration"]["FunctionName"]["Ref"],
        ]
        for each in of_type(services.template, "AWS::CodePipeline::Pipeline").values()
    }
    assert list(stages) == [f"{name}-ServicePerPipeline" for name in SERVICES]
    used = [name for names in stages.values() for name in names]
    assert len(set(used)) == len(used) == 2 * len(SERVICES)


def test_all_share_a_store_a_key_a_connection_and_a_topic(services):
    counts = Counter(resource["Type"] for resource in services.resources.values())
    assert {
        type_: counts[type_]
        for type_ in ("AWS::KMS::Key", "AWS::CodeConnections::Connection", "AWS::SNS::Topic", "AWS::S3::Bucket")
    } == {
        "AWS::KMS::Key": 1,
        "AWS::CodeConnections::Connection": 1,
        "AWS::SNS::Topic": 1,
        "AWS::S3::Bucket": 2,  # of artifacts, and of who accessed them
    }
    (topic,) = services.names_of("AWS::SNS::Topic")
    alarms = of_type(services.template, "AWS::CloudWatch::Alarm").values()
    assert [each["AlarmActions"] for each in alarms] == [[{"Ref": topic}]] * 3 * len(SERVICES)


def test_one_more_service_is_sixteen_resources_and_three_roles_more(services):
    fewer = Counter(types_of(synthesized(services_stack(App(analytics_reporting=False), SERVICES[:2]))))
    more = Counter(types_of(services.template))
    assert more - fewer == {
        "AWS::CodePipeline::Pipeline": 1,
        "AWS::CodeBuild::Project": 1,
        "AWS::Lambda::Function": 1,
        "AWS::Lambda::Version": 1,
        "AWS::Lambda::Alias": 1,
        "AWS::CloudWatch::Alarm": 3,
        "AWS::Logs::LogGroup": 2,  # of the build and of the function
        "AWS::IAM::Role": 3,  # of the pipeline, of the build and of the function
        "AWS::IAM::ManagedPolicy": 3,
    }
    assert (more - fewer).total() == 16
    assert fewer - more == Counter()


def types_of(template):
    return [resource["Type"] for resource in template["Resources"].values()]


def test_policies_that_all_share_do_not_grow_with_the_services(services):
    """They have limits of their own, of 20 and 32 KB."""
    fewer = synthesized(services_stack(App(analytics_reporting=False), SERVICES[:1]))
    for type_ in ("AWS::KMS::Key", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy"):
        assert of_type(fewer, type_) == of_type(services.template, type_)


@pytest.fixture(scope="module")
def iam(services):
    return Simulation(services.template)


WHO = [(name, kind) for name in SERVICES for kind in ("Pipeline", "Build", "Function")]


@pytest.mark.parametrize(("name", "kind"), WHO)
@pytest.mark.parametrize("other", SERVICES)
def test_nobody_reads_or_writes_the_artifacts_of_another_service(iam, name, kind, other):
    bucket = iam.physical.attribute(iam.physical.logical_id("ArtifactsBucket", "AWS::S3::Bucket"), "Arn")
    folder = f"{other}-ServicePerPipeline"[:20]
    role = role_of(iam, name, kind)
    expected = "allowed" if name == other and kind != "Function" else "implicitly denied"
    for action in ("s3:GetObject", "s3:PutObject"):
        assert iam.ask(role, action, f"{bucket}/{folder}/Build/AbC.zip") == expected


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("other", SERVICES)
def test_a_pipeline_releases_and_builds_its_own_service_only(iam, name, other):
    expected = "allowed" if name == other else "implicitly denied"
    pipeline = role_of(iam, name, "Pipeline")
    function = iam.physical.attribute(
        iam.physical.logical_id(f"{plain(other)}Function", "AWS::Lambda::Function"), "Arn"
    )
    for action in ("lambda:UpdateFunctionCode", "lambda:PublishVersion", "lambda:UpdateAlias"):
        assert iam.ask(pipeline, action, function) == expected
        assert iam.ask(role_of(iam, name, "Build"), action, function) == "implicitly denied"
    project = (
        f"{function.partition(':lambda:')[0]}:codebuild:eu-west-1:111122223333:project/ServicePerPipeline-{other}-Build"
    )
    assert iam.ask(pipeline, "codebuild:StartBuild", project) == expected


def role_of(iam, name, kind):
    return iam.physical.logical_id(f"{plain(name)}{kind}Role", "AWS::IAM::Role")


def plain(name):
    """As in a logical id."""
    return name.replace("-", "")


def test_services_whose_names_begin_alike_are_told_apart():
    """CodePipeline cuts the names of folders; two in one would be open to one another."""
    names = ["recommendations-of-the-day", "recommendations-of-the-week"]
    with refuses("the same folder", at="ServicePerPipeline/recommendations-of-the-week/Pipeline", fix="pipeline_name="):
        services_stack(App(), names)


def test_release_is_built_approved_and_shifted_in_this_order(services, snapshot):
    assert outline_of(services.stack) == snapshot(name="outline")


def test_template(services, snapshot):
    assert template_of(services.stack) == snapshot(name="template")


def test_both_nag_packs_looked_and_found_nothing(services):
    assert_both_packs_find_nothing(services)


def test_every_acknowledged_finding_is_known_and_has_a_reason(services, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = acknowledged(services)
    assert len(lines) == 34
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(services):
    """A changed logical id is a new, empty resource, or an alias without its versions: a breaking change."""
    assert services.names_of(*STATEFUL) == {
        "AlertsTopicCF7C81C9",
        "ArtifactsAccessLogsBucketE76260C0",
        "ArtifactsBucket88671897",
        "ArtifactsKeyA4B22E2B",
        "BucketEmptierFunctionLogs6DEA2D3B",
        "GitHubConnection327BBDDD",
        "ordersBuildLogs5CD0A2FC",
        "ordersDeploymentAlias0F27DBCA",
        "ordersFunctionLogsA4883836",
        "ordersPipeline2DCAB7A7",
        "paymentBuildLogsB858E59C",
        "paymentDeploymentAliasCAFE6F16",
        "paymentFunctionLogs44964BA6",
        "paymentPipelineC3BFDCA5",
        "paymentapiBuildLogs45966E7E",
        "paymentapiDeploymentAlias0885391F",
        "paymentapiFunctionLogsADFC0649",
        "paymentapiPipeline28CFFC99",
    }


def test_nothing_that_costs_money_outlives_the_stack(services):
    assert_nothing_outlives_the_stack(services)


def test_no_token_leaks_into_the_template(services):
    assert_no_token_leaks(services)


def test_feature_flags_of_the_app_do_not_change_our_resources(services, tmp_path):
    plain_app = Review(services_stack, tmp_path, {})
    assert_both_packs_find_nothing(plain_app)
    assert template_of(plain_app.stack) == template_of(services.stack)


def test_cfn_lint_accepts_the_template(services):
    assert_cfn_lint_accepts(services)
