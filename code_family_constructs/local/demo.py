"""Bootstraps, deploys, changes and destroys a stack with the real CDK CLI, and reads back by boto3 what was made."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from code_family_constructs.local.server import Endpoint


def run(endpoint: Endpoint, *, app: str | None, stack: str | None, change: str | None) -> int:
    """Run the demonstration and return the exit code: 0 when every step worked and nothing was left behind."""
    try:
        _Demonstration(endpoint, app, stack, change).run()
    except _StepError as failure:
        print(f"\nThe demonstration ended early: {failure}", file=sys.stderr)
        return 1
    return 0


class _StepError(Exception):
    """What ended the demonstration, for the person who watches it."""


class _Demonstration:
    def __init__(self, endpoint: Endpoint, app: str | None, stack: str | None, change: str | None) -> None:
        self._endpoint = endpoint
        self._app = app
        self._stack = stack
        self._change = change
        self._began = time.monotonic()

    def run(self) -> None:
        cdk = _cdk()
        if self._ready_made:
            if self._change:
                raise _StepError(f"{self._app} is synthesized already, so --change {self._change} cannot change it")
            self._stack = _stack_name(self._assembly("first"), self._stack)
        self._step("An AWS endpoint on loopback, empty, for an account that does not exist")
        with self._endpoint:
            print(f"    {self._endpoint.url}, account {self._endpoint.account}, {self._endpoint.region}")
            commands = _Commands(cdk, self._endpoint)
            before = self._bootstrap(commands)
            self._stack = _stack_name(self._assembly("first"), self._stack)
            if self._change:
                with commands.in_background("synth", *self._synth("second", "-c", self._change)) as second:
                    self._deploy(commands)
                    second.finish()
                self._deploy_change(commands)
            else:
                self._deploy(commands)
            self._explain_real_account()
            self._destroy(commands, before)
        print(f"\n{self._elapsed()} Done. The endpoint is gone, with everything it kept.")

    @property
    def _ready_made(self) -> bool:
        return self._app is not None and (Path(self._app) / "manifest.json").is_file()

    def _bootstrap(self, commands: "_Commands") -> dict[str, set[str]]:
        environment = f"aws://{self._endpoint.account}/{self._endpoint.region}"
        if self._ready_made:
            self._step("cdk bootstrap")
            commands.run("bootstrap", environment)
        else:
            self._step("cdk bootstrap, while the app is synthesized")
            with commands.in_background("synth", *self._synth("first")) as first:
                commands.run("bootstrap", environment)
                first.finish()
        return _inventory(self._endpoint)

    def _deploy(self, commands: "_Commands") -> None:
        self._step(f"cdk deploy {self._stack}")
        commands.run("deploy", "--app", self._assembly("first"), self._stack, *_DEPLOY)
        self._step("What AWS says there is now, read back with boto3")
        _Report(self._endpoint, self._resources()).show()
        self._admit_gaps()

    def _deploy_change(self, commands: "_Commands") -> None:
        first, second = (Path(self._assembly(variant)) for variant in ("first", "second"))
        if all((first / item.name).read_bytes() == item.read_bytes() for item in second.glob("*.template.json")):
            raise _StepError(f"-c {self._change} changed no template, so there is nothing to show")
        before, versions = self._resources(), self._pipeline_versions()
        self._step(f"cdk diff {self._stack} -c {self._change}")
        commands.run("diff", "--app", self._assembly("second"), self._stack)
        self._step(f"cdk deploy {self._stack} -c {self._change}")
        commands.run("deploy", "--app", self._assembly("second"), self._stack, *_DEPLOY)
        after = self._resources()
        replaced = [
            logical_id
            for logical_id, (_, physical_id) in before.items()
            if logical_id in after and after[logical_id][1] != physical_id
        ]
        self._step("Updated in place")
        for name, version in self._pipeline_versions().items():
            print(f"    pipeline {name}: version {versions.get(name, 'none')} → {version}")
        same = len(before.keys() & after.keys()) - len(replaced)
        print(f"    {same} resources have the physical id they had before, {len(replaced)} were replaced")
        for logical_id in replaced:
            print(f"    replaced: {logical_id} ({before[logical_id][1]} → {after[logical_id][1]})")

    def _admit_gaps(self) -> None:
        pages = self._endpoint.client("cloudformation").get_paginator("describe_stack_events")
        for page in pages.paginate(StackName=self._stack):
            for event in page["StackEvents"]:
                reason = event.get("ResourceStatusReason", "")
                if event["ResourceStatus"] == "CREATE_COMPLETE" and reason:
                    print(f"    {event['LogicalResourceId']} ({event['ResourceType']})\n      {reason}")

    def _explain_real_account(self) -> None:
        app = f' --app "{self._app}"' if self._app else ""
        change = f"\n    cdk deploy{app} {self._stack} -c {self._change}" if self._change else ""
        self._step("The same in an account of yours: without the AWS_… variables of this endpoint")
        print(
            f"    cdk bootstrap{app}\n    cdk deploy{app} {self._stack}, with the settings that the app takes "
            "(-c repository=you/your-repository)\n"
            f"    finish the handshake of the connection in the console{change}\n"
            f"    cdk destroy{app} {self._stack}"
        )

    def _destroy(self, commands: "_Commands", before: Mapping[str, set[str]]) -> None:
        self._step(f"cdk destroy {self._stack}")
        assembly = self._assembly("second" if self._change else "first")
        commands.run("destroy", "--force", "--app", assembly, self._stack)
        self._step("What AWS says is left of it")
        left = {kind: sorted(ids - before[kind]) for kind, ids in _inventory(self._endpoint).items()}
        print("    " + ", ".join(f"{kind}: {len(ids)}" for kind, ids in left.items()))
        remains = [f"{kind} {item}" for kind, ids in left.items() for item in ids]
        if remains:
            raise _StepError("cdk destroy left something behind:\n    " + "\n    ".join(remains))
        print("    nothing; the bootstrap stack CDKToolkit stays, as it does in a real account")

    def _synth(self, variant: str, *options: str) -> list[str]:
        app = ["--app", self._app] if self._app else []
        return ["--quiet", *app, "--output", str(self._endpoint.directory / variant), *options]

    def _assembly(self, variant: str) -> str:
        if self._app and self._ready_made:
            return self._app
        return str(self._endpoint.directory / variant)

    def _resources(self) -> dict[str, tuple[str, str]]:
        pages = self._endpoint.client("cloudformation").get_paginator("list_stack_resources")
        return {
            item["LogicalResourceId"]: (item["ResourceType"], item["PhysicalResourceId"])
            for page in pages.paginate(StackName=self._stack)
            for item in page["StackResourceSummaries"]
        }

    def _pipeline_versions(self) -> dict[str, int]:
        pipelines = self._endpoint.client("codepipeline").list_pipelines()["pipelines"]
        return {pipeline["name"]: pipeline["version"] for pipeline in pipelines}

    def _step(self, title: str) -> None:
        print(f"\n{self._elapsed()} {title}", flush=True)

    def _elapsed(self) -> str:
        return f"[{time.monotonic() - self._began:5.1f} s]"


_STACK = "AWS::CloudFormation::Stack"

_EVENT = re.compile(r"\| (?P<status>[A-Z_]+) +\| (?P<kind>[\w:]+)")

_SHOWN = ("AWS::Code", "Custom::")
"""The resource types whose events are shown: two events for each of a hundred resources are too many to read."""

_DEPLOY = ("--require-approval", "never", "--progress", "events")


class _Commands:
    """Runs the CDK CLI against the endpoint, each time in a process group that ends with it."""

    def __init__(self, cdk: str, endpoint: Endpoint) -> None:
        self._cdk = cdk
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self._environment = {
            **endpoint.process_environment(),
            "PATH": path,
            # Node's and Python's temporary files go with the endpoint.
            "TMPDIR": str(endpoint.directory),
            "CDK_VALIDATION": "false",
            "NO_COLOR": "1",
            "FORCE_COLOR": "0",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        }

    def run(self, command: str, *arguments: str | None) -> None:
        """Run one command, showing its output as it comes."""
        with self._started(command, *arguments) as process:
            others = 0
            for line in process.stdout or ():
                event = _EVENT.search(line)
                if event and (event["status"].endswith("_IN_PROGRESS") or event["kind"] == _STACK):
                    continue
                if event and event["status"].endswith("_COMPLETE") and not event["kind"].startswith(_SHOWN):
                    others += 1
                elif line.strip():
                    print(f"    {line.rstrip()}", flush=True)
            if others:
                print(f"    other resources: {others}")
            if process.wait() != 0:
                raise _StepError(f"cdk {command} ended with exit code {process.returncode}")

    @contextmanager
    def in_background(self, command: str, *arguments: str) -> Iterator["_Background"]:
        """Start one command, whose output is shown only when it fails."""
        with self._started(command, *arguments) as process:
            yield _Background(command, process)

    @contextmanager
    def _started(self, command: str, *arguments: str | None) -> Iterator["subprocess.Popen[str]"]:
        process: subprocess.Popen[str] | None = None
        with _signals_held_back() as let_signals_in:
            try:
                process = subprocess.Popen(
                    [self._cdk, command, *filter(None, arguments)],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,
                )
                let_signals_in()
                yield process
            finally:
                if process is not None and process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                if process is not None and process.stdout is not None:
                    process.stdout.close()


@contextmanager
def _signals_held_back() -> Iterator[Callable[[], None]]:
    """Hold back what would end this process until a child is in hands that end it, too."""
    held: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}

    def let_in() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        while held:
            signal.raise_signal(held.pop())

    for number in handlers:
        signal.signal(number, lambda received, _: held.append(received))
    try:
        yield let_in
    finally:
        if signal.getsignal(signal.SIGINT) not in handlers.values():
            let_in()


class _Background:
    def __init__(self, command: str, process: "subprocess.Popen[str]") -> None:
        self._command = command
        self._process = process

    def finish(self) -> None:
        output, _ = self._process.communicate()
        if self._process.returncode != 0:
            print(output)
            raise _StepError(f"cdk {self._command} ended with exit code {self._process.returncode}")


class _Report:
    """Prints what the APIs of the family report about the resources of a stack."""

    def __init__(self, endpoint: Endpoint, resources: Mapping[str, tuple[str, str]]) -> None:
        self._endpoint = endpoint
        self._resources = resources

    def show(self) -> None:
        print(f"    {len(self._resources)} resources")
        for kind, show in (
            ("AWS::CodeConnections::Connection", self._connection),
            ("AWS::CodeStarConnections::Connection", self._connection),
            ("AWS::CodePipeline::Pipeline", self._pipeline),
            ("AWS::CodeBuild::Project", self._project),
            ("AWS::CodeDeploy::DeploymentGroup", self._deployment_group),
        ):
            for resource_type, physical_id in self._resources.values():
                if resource_type == kind:
                    show(physical_id)

    def _connection(self, arn: str) -> None:
        client = self._endpoint.client("codeconnections")
        connection = client.get_connection(ConnectionArn=arn)["Connection"]
        region = self._endpoint.region
        print(f"    connection {connection['ConnectionName']} to {connection['ProviderType']}")
        print(f"      status    {connection['ConnectionStatus']}")
        if connection["ConnectionStatus"] == "PENDING":
            print("      to do     in a real account a person finishes the handshake once, under Pending connections:")
            print(
                f"                https://{region}.console.aws.amazon.com/codesuite/settings/connections?region={region}"
            )

    def _pipeline(self, name: str) -> None:
        pipeline = self._endpoint.client("codepipeline").get_pipeline(name=name)["pipeline"]
        details = (pipeline["pipelineType"], pipeline["executionMode"], f"version {pipeline['version']}")
        print(f"    pipeline {name} ({', '.join(details)})")
        for stage in pipeline["stages"]:
            print(f"      stage     {stage['name']}")
            for action in sorted(stage["actions"], key=lambda item: item["runOrder"]):
                kind = action["actionTypeId"]
                print(f"        {action['runOrder']}. {action['name']}: {kind['category']} by {kind['provider']}")

    def _project(self, name: str) -> None:
        project = self._endpoint.client("codebuild").batch_get_projects(names=[name])["projects"][0]
        environment = project["environment"]
        logs = project.get("logsConfig", {}).get("cloudWatchLogs", {})
        print(f"    build project {name}")
        print(f"      image     {environment['image']}")
        print(f"      compute   {environment['computeType']} ({environment['type']})")
        print(f"      time-out  {project['timeoutInMinutes']} minutes")
        print(f"      logs      {logs.get('groupName', 'the log group that CodeBuild makes')}")

    def _deployment_group(self, name: str) -> None:
        client = self._endpoint.client("codedeploy")
        application, group = next(
            (application, name)
            for application in client.list_applications()["applications"]
            if name in client.list_deployment_groups(applicationName=application)["deploymentGroups"]
        )
        info = client.get_deployment_group(applicationName=application, deploymentGroupName=group)[
            "deploymentGroupInfo"
        ]
        balancer = info.get("loadBalancerInfo", {})
        targets = [
            *(item["name"] for item in info.get("autoScalingGroups", [])),
            *(f"{item['clusterName']}/{item['serviceName']}" for item in info.get("ecsServices", [])),
        ]
        target_groups = [
            *(item["name"] for item in balancer.get("targetGroupInfoList", [])),
            *(item["name"] for pair in balancer.get("targetGroupPairInfoList", []) for item in pair["targetGroups"]),
        ]
        rollback = info.get("autoRollbackConfiguration", {})
        rows = {
            "targets": targets,
            "config": [info["deploymentConfigName"]],
            "alarms": [item["name"] for item in info.get("alarmConfiguration", {}).get("alarms", [])],
            "rollback": rollback.get("events", []) if rollback.get("enabled") else [],
            "balancer": target_groups,
        }
        print(f"    deployment group {name} of {application} ({info['computePlatform']})")
        for title, values in rows.items():
            print(f"      {title:<9} {', '.join(values) or 'none'}")


def _inventory(endpoint: Endpoint) -> dict[str, set[str]]:
    """Return the ids of everything that a stack of this library can make, by kind."""
    return {
        kind: {
            item[key] if key else item
            for item in _read(endpoint, service, operation, field)
            # What is being deleted for good is as good as gone.
            if not (isinstance(item, dict) and item.get("State") == "deleted")
        }
        for kind, (service, operation, field, key) in _KINDS.items()
    } | {"keys": _usable_keys(endpoint)}


_KINDS: dict[str, tuple[str, str, str, str | None]] = {
    "pipelines": ("codepipeline", "list_pipelines", "pipelines", "name"),
    "build projects": ("codebuild", "list_projects", "projects", None),
    "CodeDeploy applications": ("codedeploy", "list_applications", "applications", None),
    "deployment configurations": ("codedeploy", "list_deployment_configs", "deploymentConfigsList", None),
    "connections": ("codeconnections", "list_connections", "Connections", "ConnectionArn"),
    "notification rules": ("codestar-notifications", "list_notification_rules", "NotificationRules", "Arn"),
    "buckets": ("s3", "list_buckets", "Buckets", "Name"),
    "topics": ("sns", "list_topics", "Topics", "TopicArn"),
    "functions": ("lambda", "list_functions", "Functions", "FunctionArn"),
    "log groups": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmArn"),
    "dashboards": ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "Auto Scaling groups": ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName"),
    "launch templates": ("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    "load balancers": ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    "target groups": ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    "VPCs": ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    "subnets": ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    "security groups": ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    "NAT gateways": ("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
    "Elastic IPs": ("ec2", "describe_addresses", "Addresses", "AllocationId"),
    "flow logs": ("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    "VPC endpoints": ("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    "clusters": ("ecs", "list_clusters", "clusterArns", None),
    "repositories": ("ecr", "describe_repositories", "repositories", "repositoryArn"),
    "roles": ("iam", "list_roles", "Roles", "RoleName"),
    "instance profiles": ("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
    "event rules": ("events", "list_rules", "Rules", "Arn"),
    "stacks": ("cloudformation", "describe_stacks", "Stacks", "StackName"),
}


def _read(endpoint: Endpoint, service: str, operation: str, field: str) -> Iterator[Any]:
    client = endpoint.client(service)
    if client.can_paginate(operation):
        for page in client.get_paginator(operation).paginate():
            yield from page[field]
    else:
        yield from getattr(client, operation)()[field]


def _usable_keys(endpoint: Endpoint) -> set[str]:
    # A deleted key stays for its waiting period, without cost.
    client = endpoint.client("kms")
    metadata = [client.describe_key(KeyId=item["KeyId"])["KeyMetadata"] for item in client.list_keys()["Keys"]]
    return {key["KeyId"] for key in metadata if key["KeyState"] != "PendingDeletion"}


def _stack_name(assembly: str, wanted: str | None) -> str:
    artifacts = json.loads((Path(assembly) / "manifest.json").read_text())["artifacts"]
    names = [
        artifact.get("properties", {}).get("stackName", name)
        for name, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    ]
    if wanted is None and len(names) == 1:
        return str(names[0])
    if wanted in names:
        return str(wanted)
    problem = f"The app has no stack {wanted}" if wanted else "The app has more than one stack; choose with --stack"
    raise _StepError(f"{problem}: {', '.join(sorted(names))}")


def _cdk() -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("cdk", path=path)
    if found is None:
        raise _StepError("The CDK CLI is not on PATH. Install it with: npm install --global aws-cdk@2")
    return found
