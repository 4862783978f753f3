"""The canary: what runs asks for the URL, may do little, and leaves nothing behind that costs money."""

import ast
import json
from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Duration, NestedStack, Stack, Validations
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cfnlint.api import ManualArgs, lint_file

from code_family_constructs import HealthGate
from code_family_constructs.canary import UrlCanary
from code_family_constructs.smoke_test import SmokeTest
from code_family_constructs.testing import synthesized
from tests.helpers import a_stack, allowed, of_type, only, refuses

URL = "https://shop.example/health"


class Reference:
    """A health gate with a canary, with both cdk-nag packs looking on."""

    def __init__(self, folder):
        app = App(outdir=str(folder), analytics_reporting=False)
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        Validations.of(app).add_plugins(NIST80053R5Checks(app))
        stack = Stack(app, "Shop")
        gate = HealthGate(stack, "Health")
        host = CfnParameter(stack, "Host").value_as_string
        self.canary = gate.watch_url(
            "Page", url=f"https://{host}/", contains="welcome", interval=Duration.minutes(2), failures=3
        )
        gate.composite()
        self.template = synthesized(stack)
        self.file = folder / "Shop.template.json"
        self.report = json.loads((folder / "validation-report.json").read_text())


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return Reference(tmp_path_factory.mktemp("canary"))


@pytest.fixture(scope="module")
def canary(reference):
    return only(reference.template, "AWS::Synthetics::Canary")


def test_it_asks_on_schedule_with_a_runtime_that_aws_supports(canary):
    assert canary["Schedule"]["Expression"] == "rate(2 minutes)"
    assert canary["StartCanaryAfterCreation"] is True
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Synthetics_Runtime_Support_Policy.html
    language, framework, version = canary["RuntimeVersion"].removeprefix("syn-").split("-")
    assert (language, framework) == ("python", "selenium")
    assert float(version) > 5.1


def settings(canary):
    joined = canary["RunConfig"]["EnvironmentVariables"]["CODE_FAMILY_SMOKE_TEST"]["Fn::Join"][1]
    return json.loads("".join("shop.example" if part == {"Ref": "Host"} else part for part in joined))


def test_a_run_is_one_request_as_it_was_asked_for(canary):
    found = settings(canary)
    assert (found["url"], found["contains"], found["retries"]) == ("https://shop.example/", "welcome", 0)


@pytest.mark.parametrize("problem", [None, "status 503, expected 200"])
def test_its_script_fails_by_an_exception(canary, monkeypatch, problem):
    script = canary["Code"]["Script"]
    # Of the runtime's Python.
    ast.parse(script, feature_version=(3, 12))
    module, _, name = canary["Code"]["Handler"].rpartition(".")
    assert module == "index"
    ran: dict[str, Any] = {}
    exec(compile(script, "index.py", "exec"), ran)
    ran["answer"] = lambda given: problem if given["url"] == "https://shop.example/" else "asked for something else"
    monkeypatch.setenv("CODE_FAMILY_SMOKE_TEST", json.dumps(settings(canary)))
    if problem is None:
        assert ran[name]({}, None) == "as expected"
    else:
        with pytest.raises(RuntimeError, match=problem):
            ran[name]({}, None)


def test_its_alarm_fires_when_runs_in_a_row_fail(reference, canary):
    alarm = only(reference.template, "AWS::CloudWatch::Alarm")
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == (
        "CloudWatchSynthetics",
        "SuccessPercent",
        "Average",
    )
    assert alarm["Dimensions"] == [{"Name": "CanaryName", "Value": canary["Name"]}]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 100)
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (120, 3)
    assert alarm["TreatMissingData"] == "notBreaching"


def test_it_may_write_its_results_its_metrics_and_its_log(reference, canary):
    (bucket,) = of_type(reference.template, "AWS::S3::Bucket")
    log_group = (
        f"arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:/aws/lambda/cwsyn-{canary['Name']}-*"
    )
    assert allowed(reference.template, "HealthPageRolePolicy") == {
        f"s3:PutObject on <{bucket}.Arn>/*",
        f"s3:GetBucketLocation on <{bucket}.Arn>",
        "s3:ListAllMyBuckets on *",
        "cloudwatch:PutMetricData on *",
        f"logs:CreateLogGroup on {log_group}",
        f"logs:CreateLogStream on {log_group}",
        f"logs:PutLogEvents on {log_group}",
    }


def test_its_results_are_private_encrypted_and_expire(reference, canary):
    (name,) = of_type(reference.template, "AWS::S3::Bucket")
    bucket = only(reference.template, "AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 30)
    assert canary["ArtifactS3Location"]["Fn::Join"][1] == ["s3://", {"Ref": name}]


def test_nothing_that_costs_money_outlives_the_stack(reference):
    resources = reference.template["Resources"]
    assert {name for name, one in resources.items() if one.get("DeletionPolicy", "Delete") != "Delete"} == set()
    (emptied,) = of_type(reference.template, "Custom::EmptyBucket")
    (canary,) = of_type(reference.template, "AWS::Synthetics::Canary")
    # The canary goes first: what still runs would write into the bucket that is being emptied.
    assert emptied in resources[canary]["DependsOn"]
    assert resources[canary]["Properties"]["ProvisionedResourceCleanup"] == "AUTOMATIC"


def test_both_nag_packs_looked_and_found_nothing(reference):
    packs = {pack["pluginName"]: pack["violations"] for pack in reference.report["pluginReports"]}
    assert packs == {"AwsSolutions": [], "NIST.800.53.R5": []}


def test_cfn_lint_accepts_the_template(reference):
    # W3005: aws-cdk-lib makes a function wait for a role that it refers to anyway.
    problems = lint_file(reference.file, ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"]))
    assert [f"{problem.rule.id} {problem.message}" for problem in problems] == []


@pytest.mark.parametrize(
    ("interval", "problem"),
    [
        (Duration.seconds(30), "a run every 0.5 minutes"),
        (Duration.seconds(90), "a run every 1.5 minutes"),
        (Duration.minutes(0), "a run every 0 minutes"),
        (Duration.minutes(61), "a run every 61 minutes"),
    ],
)
def test_fails_when_synthetics_has_no_such_interval(interval, problem):
    with refuses(problem, at="Shop/Canary", fix="use whole minutes from 1 to 60"):
        UrlCanary(a_stack(), "Canary", test=SmokeTest(URL), interval=interval)


def test_fails_when_only_the_deployment_knows_the_interval():
    stack = a_stack()
    later = Duration.minutes(CfnParameter(stack, "Minutes", type="Number").value_as_number)
    with refuses("only known when the stack is deployed", at="Shop/Canary", fix="use whole minutes"):
        UrlCanary(stack, "Canary", test=SmokeTest(URL), interval=later)


def test_fails_when_a_run_may_take_longer_than_the_time_to_the_next():
    test = SmokeTest(URL, timeout=Duration.seconds(31))
    with refuses("a timeout of 31 seconds for a run every 1 minutes", at="Shop/Canary", fix="at most 30 seconds"):
        UrlCanary(a_stack(), "Canary", test=test, interval=Duration.minutes(1))
    UrlCanary(a_stack(), "Canary", test=test, interval=Duration.minutes(2))


def test_fails_when_it_should_ask_inside_of_a_vpc():
    test = SmokeTest(URL, load_balancer="app/shop/0123456789abcdef")
    with refuses("canaries ask from the internet", at="Shop/Canary", fix="with a DeploymentHook in the VPC"):
        UrlCanary(a_stack(), "Canary", test=test, interval=Duration.minutes(1))


def test_fails_when_there_is_no_such_url():
    with refuses("'shop.example' is neither HTTPS nor HTTP", at="Shop/Health", fix="https://"):
        HealthGate(a_stack(), "Health").watch_url("Page", url="shop.example")


def test_fails_when_no_run_would_have_to_fail():
    gate = HealthGate(a_stack(), "Health")
    with refuses("0 evaluation periods of 60 seconds for 'Page'", at="Shop/Health", fix="use 1 to"):
        gate.watch_url("Page", url=URL, failures=0)
    assert gate.node.children == []


def test_fails_when_the_interval_is_none():
    gate = HealthGate(a_stack(), "Health")
    with refuses("a run every 0 minutes", at="Shop/Health", fix="use whole minutes from 1 to 60"):
        gate.watch_url("Page", url=URL, interval=Duration.minutes(0))
    assert gate.node.children == []


def test_fails_when_its_settings_are_more_than_lambda_takes():
    with refuses("bytes of environment variables", "Lambda takes 4096", at="Shop/Canary", fix="write less"):
        UrlCanary(a_stack(), "Canary", test=SmokeTest(URL, contains="y" * 4096), interval=Duration.minutes(1))
    UrlCanary(a_stack(), "Canary", test=SmokeTest(URL, contains="y" * 3800), interval=Duration.minutes(1))


def test_its_name_tells_the_outermost_stack():
    nested = NestedStack(Stack(App(), "Shop", stack_name="shop-staging"), "Nested")
    canary = UrlCanary(nested, "Canary", test=SmokeTest(URL), interval=Duration.minutes(1))
    assert canary.canary_name.startswith("shopstaging-nested-canary-")
