"""Owns a CodeDeploy deployment group for blue/green on EC2, and the Auto Scaling groups that its releases come in.

CodeDeploy copies the Auto Scaling group of such a deployment group at each release, and deletes the original later. So
the group that serves is the one that the deployment group names, whatever was made first.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import boto3

from code_family_constructs.handlers.custom_resource import answer

POLL_SECONDS = 5
TIME_TO_ANSWER_MS = 30_000
# New roles are not known everywhere at once.
ROLE_SECONDS = 120

RUNNING = ("Created", "Queued", "InProgress", "Baking", "Ready")
# Deployments to one instance that Auto Scaling launches or terminates; they neither copy nor delete a group.
OF_AUTO_SCALING = ("autoscaling", "autoscalingTermination")
NOT_TERMINATED = ("pending", "running", "shutting-down", "stopping", "stopped")
UPDATED = ("LaunchTemplate", "MinSize", "MaxSize", "VPCZoneIdentifier", "HealthCheckType", "HealthCheckGracePeriod")


def handler(event: dict[str, Any], context: Any) -> None:
    wanted = event["ResourceProperties"]["DeploymentGroup"]
    name = f"{wanted['applicationName']}/{wanted['deploymentGroupName']}"
    deleting = event["RequestType"] == "Delete"

    def work() -> Mapping[str, str]:
        group = BlueGreenGroup(event, context)
        if deleting:
            group.delete()
        else:
            put(group, replaces=event.get("PhysicalResourceId", name) != name)
        return {"DeploymentGroupName": wanted["deploymentGroupName"]}

    # CloudFormation makes an id up for a creation that was never answered.
    answer(event, event["PhysicalResourceId"] if deleting else name, work)


def put(group: "BlueGreenGroup", *, replaces: bool) -> None:
    new = replaces and not group.exists()
    try:
        group.put()
    except Exception:
        # A creation that failed is deleted by CloudFormation; of a replacement it may know the old one only.
        if new:
            group.delete()
        raise


class BusyError(Exception):
    """A release is running, and a change might break it."""


class BlueGreenGroup:
    """The deployment group that an event is about.

    Args:
        event: CloudFormation's. Its properties are parameters of CodeDeploy's CreateDeploymentGroup and, if CodeDeploy
            is to copy it, of Auto Scaling's CreateAutoScalingGroup.
        context: Lambda's.
    """

    def __init__(self, event: dict[str, Any], context: Any) -> None:
        self.context = context
        self.codedeploy = boto3.client("codedeploy")
        self.autoscaling = boto3.client("autoscaling")
        self.ec2 = boto3.client("ec2")
        wanted = event["ResourceProperties"]
        old = event.get("OldResourceProperties", wanted)
        self.wanted = typed(self.codedeploy, "CreateDeploymentGroup", wanted["DeploymentGroup"])
        self.old = typed(self.codedeploy, "CreateDeploymentGroup", old["DeploymentGroup"])
        self.fleet = typed(self.autoscaling, "CreateAutoScalingGroup", wanted.get("AutoScalingGroup", {}))
        self.old_fleet = typed(self.autoscaling, "CreateAutoScalingGroup", old.get("AutoScalingGroup", {}))
        self.key = {key: self.wanted[key] for key in ("applicationName", "deploymentGroupName")}
        self.owner = {"code-family:stack": event["StackId"], "code-family:resource": event["LogicalResourceId"]}

    def exists(self) -> bool:
        return self.read() is not None or self.live(None) is not None

    def put(self) -> None:
        """Makes what is missing and changes what is different; the instances that serve stay as they are."""
        group = self.read()
        live = self.live(group)
        changes: list[Callable[[], Any]] = []
        if self.fleet and live is None:
            changes.append(self.launch)
        elif live is not None:
            changes += self.changes_of(live)
        if self.fleet and (live is None or group is None):
            changes.append(self.wait_for_instances)
        names = [live["AutoScalingGroupName"] if live else self.fleet["AutoScalingGroupName"]] if self.fleet else []
        if group is None:
            changes.append(partial(self.create, names))
        elif not self.is_as_wanted(group, names):
            changes.append(partial(self.update, names))
        # Instances of a group that changes now could lose their traffic, and the deployment could fail:
        # https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-groups-create-blue-green.html
        # https://docs.aws.amazon.com/codedeploy/latest/userguide/troubleshooting-auto-scaling.html
        if changes and group is not None and (running := self.releases()):
            raise BusyError(
                f"deployment {running[0]} is running: CodeDeploy copies the Auto Scaling group and moves its traffic. "
                "Update the stack when the deployment has ended, or stop it first"
            )
        for change in changes:
            change()

    def delete(self) -> None:
        """Deletes everything that releases have made and left, and the deployment group last: it tells what is left."""
        group = self.read()
        asked: dict[str, str] = {}

        def left() -> str:
            if group is not None and (running := self.stop_releases(asked)):
                return f"still running: {', '.join(f'deployment {id}{asked[id]}' for id in running)}"
            if not self.fleet:
                return ""
            if groups := self.delete_groups(group):
                return f"still being deleted: Auto Scaling group {', '.join(groups)}"
            if instances := self.instances(group):
                return f"still being terminated: instance {', '.join(instances)}"
            return ""

        self.wait(left, "delete the stack again to go on")
        if group is not None:
            self.codedeploy.delete_deployment_group(**self.key)

    def read(self) -> dict[str, Any] | None:
        errors = self.codedeploy.exceptions
        try:
            found: dict[str, Any] = self.codedeploy.get_deployment_group(**self.key)["deploymentGroupInfo"]
        except (errors.ApplicationDoesNotExistException, errors.DeploymentGroupDoesNotExistException):
            return None
        return found

    def live(self, group: dict[str, Any] | None) -> dict[str, Any] | None:
        """The Auto Scaling group that serves: the deployment group's, or else one that an earlier attempt has left."""
        if not self.fleet:
            return None
        names = [*named(group), self.fleet["AutoScalingGroupName"]]
        answered = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=names)
        found = {item["AutoScalingGroupName"]: item for item in answered["AutoScalingGroups"] if "Status" not in item}
        for name in names:
            if name not in found:
                continue
            if not self.owns(name, found[name].get("Tags", ()), named(group)):
                raise RuntimeError(
                    f"there is an Auto Scaling group {name} that is not this stack's: "
                    "delete it, or give the deployment another application_name"
                )
            return dict(found[name])
        return None

    def changes_of(self, live: dict[str, Any]) -> list[Callable[[], Any]]:
        """What changes the configuration of a group, and none of its instances.

        https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
        """
        name = {"AutoScalingGroupName": live["AutoScalingGroupName"]}
        different = {key: self.fleet[key] for key in UPDATED if not same(self.fleet[key], live.get(key))}
        there, wanted = live.get("TargetGroupARNs", []), self.fleet["TargetGroupARNs"]
        missing = [arn for arn in wanted if arn not in there]
        # Others are somebody else's.
        left = [arn for arn in self.old_fleet["TargetGroupARNs"] if arn in there and arn not in wanted]
        changes: list[Callable[[], Any]] = []
        if different:
            changes.append(partial(self.autoscaling.update_auto_scaling_group, **name, **different))
        if missing:
            attach = self.autoscaling.attach_load_balancer_target_groups
            changes.append(partial(attach, **name, TargetGroupARNs=missing))
        if left:
            detach = self.autoscaling.detach_load_balancer_target_groups
            changes.append(partial(detach, **name, TargetGroupARNs=left))
        return changes

    def launch(self) -> None:
        tags = [{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in self.owner.items()]
        self.autoscaling.create_auto_scaling_group(**self.fleet, Tags=tags)

    def wait_for_instances(self) -> None:
        name = self.fleet["AutoScalingGroupName"]

        def left() -> str:
            found = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
            instances = [instance for item in found for instance in item.get("Instances", ())]
            serving = [instance for instance in instances if instance["LifecycleState"] == "InService"]
            if len(serving) >= self.fleet["MinSize"]:
                return ""
            activities = self.autoscaling.describe_scaling_activities(AutoScalingGroupName=name, MaxRecords=1)
            last = [item.get("StatusMessage") or item.get("Description", "") for item in activities["Activities"]]
            return f"{len(serving)} of {self.fleet['MinSize']} instances of {name} are in service. {' '.join(last)}"

        self.wait(left, "look at the group's activity history")

    def create(self, names: list[str]) -> None:
        def refused() -> str:
            try:
                self.codedeploy.create_deployment_group(**self.wanted, autoScalingGroups=names)
            except self.codedeploy.exceptions.InvalidRoleException as error:
                return str(error)
            return ""

        self.wait(refused, "the role of the deployment group has to trust CodeDeploy", ROLE_SECONDS)

    def is_as_wanted(self, group: dict[str, Any], names: list[str]) -> bool:
        return named(group) == names and same(self.in_an_update(), group)

    def update(self, names: list[str]) -> None:
        # CodeDeploy wants the Auto Scaling group of a group that is copied named in each update.
        groups = {"autoScalingGroups": names} if names else {}
        self.codedeploy.update_deployment_group(
            applicationName=self.key["applicationName"],
            currentDeploymentGroupName=self.key["deploymentGroupName"],
            **self.in_an_update(),
            **groups,
        )

    def in_an_update(self) -> dict[str, Any]:
        left_out = set(self.key)
        if self.wanted.get("ec2TagSet") == self.old.get("ec2TagSet"):
            # A deployment to instances that were there already may have put their tags in the place of these.
            left_out.add("ec2TagSet")
        return {key: value for key, value in self.wanted.items() if key not in left_out}

    def releases(self) -> list[str]:
        """Ids of the deployments that copy, fill, switch or delete Auto Scaling groups right now."""
        pages = self.codedeploy.get_paginator("list_deployments").paginate(
            **self.key, includeOnlyStatuses=list(RUNNING)
        )
        ids = [id for page in pages for id in page["deployments"]]
        found: list[dict[str, Any]] = []
        for first in range(0, len(ids), 25):
            batch = self.codedeploy.batch_get_deployments(deploymentIds=ids[first : first + 25])
            found += batch["deploymentsInfo"]
        return [item["deploymentId"] for item in found if item.get("creator") not in OF_AUTO_SCALING]

    def stop_releases(self, asked: dict[str, str]) -> list[str]:
        """Asks each running deployment once to stop; remembers why one would not, and returns those that still run."""
        running = self.releases()
        for id in running:
            if id not in asked:
                asked[id] = ""
                try:
                    self.codedeploy.stop_deployment(deploymentId=id, autoRollbackEnabled=False)
                except self.codedeploy.exceptions.DeploymentAlreadyCompletedException:
                    continue
                except self.codedeploy.exceptions.ClientError as error:
                    asked[id] = f" ({error})"
        return running

    def delete_groups(self, group: dict[str, Any] | None) -> list[str]:
        """Deletes each Auto Scaling group of this resource, with its instances; returns those that are still there."""
        pages = self.autoscaling.get_paginator("describe_auto_scaling_groups").paginate()
        found = [item for page in pages for item in page["AutoScalingGroups"]]
        ours = [i for i in found if self.owns(i["AutoScalingGroupName"], i.get("Tags", ()), named(group))]
        errors = self.autoscaling.exceptions
        for item in ours:
            if "Status" not in item:
                try:
                    self.autoscaling.delete_auto_scaling_group(
                        AutoScalingGroupName=item["AutoScalingGroupName"], ForceDelete=True
                    )
                except (errors.ScalingActivityInProgressFault, errors.ResourceContentionFault):
                    continue
        return [item["AutoScalingGroupName"] for item in ours]

    def instances(self, group: dict[str, Any] | None) -> list[str]:
        """Instances of groups that are gone; subnets and security groups cannot go before them."""
        of_group = "aws:autoscaling:groupName"
        names = [self.fleet["AutoScalingGroupName"], f"CodeDeploy_{self.key['deploymentGroupName']}_*"]
        filters = [
            {"Name": f"tag:{of_group}", "Values": names},
            {"Name": "instance-state-name", "Values": list(NOT_TERMINATED)},
        ]
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=filters)
        found = [item for page in pages for reservation in page["Reservations"] for item in reservation["Instances"]]
        return [
            item["InstanceId"]
            for item in found
            for tag in item["Tags"]
            if tag["Key"] == of_group and self.owns(tag["Value"], item["Tags"], named(group))
        ]

    def owns(self, name: str, tags: Iterable[Mapping[str, Any]], live: Iterable[str]) -> bool:
        """Whether an Auto Scaling group is this resource's: by its name, and by its tags or the deployment group."""
        # https://docs.aws.amazon.com/codedeploy/latest/userguide/integrations-aws-auto-scaling.html
        copy = rf"CodeDeploy_{re.escape(self.key['deploymentGroupName'])}_d-[A-Z0-9]+"
        if name != self.fleet["AutoScalingGroupName"] and not re.fullmatch(copy, name):
            return False
        return name in live or self.owner.items() <= {tag["Key"]: tag["Value"] for tag in tags}.items()

    def wait(self, left: Callable[[], str], otherwise: str, seconds: float = 900) -> None:
        """Waits until nothing is left, or raises TimeoutError in time to tell CloudFormation what is."""
        pause = 1
        while reason := left():
            pause = min(2 * pause, POLL_SECONDS)
            seconds -= pause
            most = self.context.get_remaining_time_in_millis() - 1000 * pause
            if seconds < 0 or most < TIME_TO_ANSWER_MS:
                raise TimeoutError(f"{reason}; {otherwise}")
            time.sleep(pause)


def named(group: Mapping[str, Any] | None) -> list[str]:
    """Names of a deployment group's Auto Scaling groups."""
    return [item["name"] for item in group.get("autoScalingGroups", ())] if group else []


def typed(client: Any, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an operation as boto3 takes them; CloudFormation makes strings of numbers and booleans."""
    shape = client.meta.service_model.operation_model(operation).input_shape
    converted: dict[str, Any] = _typed(shape, parameters)
    return converted


def _typed(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "structure":
            return {key: _typed(shape.members[key], item) for key, item in value.items()}
        case "list":
            return [_typed(shape.member, item) for item in value]
        case "integer":
            return int(value)
        case "boolean":
            return str(value).lower() == "true"
        case _:
            return value


def same(wanted: Any, found: Any) -> bool:
    """Whether what was found is as wanted; more than was asked for, or another order, makes no difference."""
    match wanted:
        case dict():
            return all(same(item, (found or {}).get(key)) for key, item in wanted.items())
        case list():
            return sorted(map(_text, wanted)) == sorted(map(_text, found or []))
        case str() if "," in wanted:
            return same(wanted.split(","), (found or "").split(","))
        case _:
            return bool(wanted == found or not (wanted or found))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
