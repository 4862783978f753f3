"""What IAM would answer: the policies of synthesized templates, asked about one request at a time.

Conditions and wildcards are evaluated by ministack's evaluator, used as a library. What it would get wrong without a
word is refused here instead, so that an answer is never a guess:

- It takes an operator that it does not know for "no match": a Deny would be gone. Only those that the controls in
  tests/stacks/test_github_to_ec2_roles.py try are let through.
- It takes a resource that is no string, such as an intrinsic function, for "any resource": all are resolved first.
- It never applies NotPrincipal, and puts nothing in the place of policy variables.
- Its wildcards cross the colons of an ARN; AWS compares the six parts one by one. With a wildcard in the last part
  alone, both come to the same.
- Its aws:PrincipalArn is the session's, where AWS has the role's, and its aws:ResourceAccount that of who asks, where
  an ARN names no account. In the comparisons that the controls in tests/pipeline/test_cross_account_roles.py try, AWS's
  are put in their places.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources as files
from typing import Any, Literal

from ministack.core.iam_evaluator import (
    EvalContext,
    combine_resource_policy,
    evaluate,
    evaluate_resource_policy,
    parse_policy_document,
)

from code_family_constructs.testing import statements_of

ACCOUNT, REGION, PARTITION = "111122223333", "eu-west-1", "aws"

Answer = Literal["allowed", "implicitly denied", "explicitly denied"]
Document = Mapping[str, Any]

_ANSWERS: Mapping[str, Answer] = {
    "Allow": "allowed",
    "ImplicitDeny": "implicitly denied",
    "Deny": "explicitly denied",
}
_OPERATORS = {"ArnEquals", "ArnLike", "Bool", "NumericLessThan", "StringEquals", "StringEqualsIfExists"}
_DIFFERENT_KEYS = {"aws:principalarn", "aws:principaltype", "aws:resourceaccount"}
# By operator and key, what stands for the key with AWS's value.
_STAND_INS = {
    ("ArnEquals", "aws:PrincipalArn"): "here:principalarn",
    ("StringEquals", "aws:ResourceAccount"): "here:resourceaccount",
}
_PRINCIPAL = re.compile(r"[0-9]{12}|arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:(?:root|(?:role|user|assumed-role)/[^*?]+)")
# Properties that are the physical id, when there are any.
_NAMES = {"AWS::S3::Bucket": "BucketName", "AWS::IAM::Role": "RoleName", "AWS::Lambda::Function": "FunctionName"}


def arn(service: str, resource: str, *, region: bool | str = True, account: str = ACCOUNT) -> str:
    """ARN of something in the made-up account, or in another one or another region."""
    place = region if isinstance(region, str) else REGION if region else ""
    return f"arn:{PARTITION}:{service}:{place}:{account}:{resource}"


class Physical:
    """Names and ARNs that the resources of a template could have got, always the same for a logical id.

    Args:
        template: From `code_family_constructs.testing.synthesized`.
        account: Where it is deployed.
        region: Likewise.
        stack: Name of the stack, where there are several.
        output: Value of another stack's output, by stack, output and region.
    """

    def __init__(
        self,
        template: Document,
        *,
        account: str = ACCOUNT,
        region: str = REGION,
        stack: str = "",
        output: Callable[[str, str, str], str] | None = None,
    ) -> None:
        self._resources: Mapping[str, Any] = template["Resources"]
        self._outputs: Mapping[str, Any] = template.get("Outputs", {})
        self.account, self.region, self._stack, self._output = account, region, stack, output
        self._pseudo = {
            "AWS::AccountId": account,
            "AWS::Region": region,
            "AWS::Partition": PARTITION,
            "AWS::StackId": f"arn:{PARTITION}:cloudformation:{region}:{account}:stack/Stack/1a2b3c4d",
            "AWS::URLSuffix": "amazonaws.com",
        }

    def output(self, name: str) -> str:
        """Value of an output of this template."""
        return str(self.resolve(self._outputs[name]["Value"]))

    def logical_id(self, start: str, type_: str) -> str:
        """The one resource of a type whose logical id starts so."""
        (found,) = [name for name, item in self._resources.items() if name.startswith(start) and item["Type"] == type_]
        return str(found)

    def _arn(self, service: str, resource: str, *, region: bool = True) -> str:
        return arn(service, resource, region=self.region if region else False, account=self.account)

    def ref(self, logical_id: str) -> str:
        if logical_id in self._pseudo:
            return self._pseudo[logical_id]
        if logical_id not in self._resources:
            raise LookupError(f"Ref of {logical_id}, which is no resource of the template")
        digest = sha256(f"{self._stack}{logical_id}".encode()).hexdigest()[:16]
        type_ = self._resources[logical_id]["Type"]
        if type_ in _NAMES and _NAMES[type_] in self._resources[logical_id].get("Properties", {}):
            return str(self.resolve(self._resources[logical_id]["Properties"][_NAMES[type_]]))
        match type_:
            case "AWS::S3::Bucket":
                return f"{logical_id.lower()}-{digest}"
            case (
                "AWS::IAM::Role"
                | "AWS::Logs::LogGroup"
                | "AWS::AutoScaling::AutoScalingGroup"
                | "AWS::Lambda::Function"
                | "AWS::ECS::Cluster"
            ):
                return f"{logical_id}-{digest}"
            case "AWS::EC2::LaunchTemplate":
                return f"lt-0{digest}"
            case "AWS::EC2::Subnet":
                return f"subnet-0{digest}"
            case "AWS::KMS::Key":
                return f"{digest[:8]}-{digest[8:12]}-4000-8000-{digest[:12]}"
            case "AWS::IAM::ManagedPolicy":
                return self._arn("iam", f"policy/{logical_id}-{digest}", region=False)
            case "AWS::SNS::Topic":
                return self._arn("sns", f"{logical_id}-{digest}")
            case "AWS::ECS::TaskDefinition":
                return self._arn("ecs", f"task-definition/{logical_id}-{digest}:1")
            case "AWS::ElasticLoadBalancingV2::Listener":
                return self._arn("elasticloadbalancing", f"listener/app/{logical_id[:15]}/{digest}/{digest}")
            case "AWS::ElasticLoadBalancingV2::ListenerRule":
                return self._arn(
                    "elasticloadbalancing", f"listener-rule/app/{logical_id[:15]}/{digest}/{digest}/{digest}"
                )
            case "AWS::ElasticLoadBalancingV2::TargetGroup":
                return self._arn("elasticloadbalancing", f"targetgroup/{logical_id[:15]}-{digest}/{digest}")
            case other:
                raise LookupError(f"no physical id is known for {other}, asked for by a Ref of {logical_id}")

    def attribute(self, logical_id: str, attribute: str) -> str:
        match self._resources.get(logical_id, {}).get("Type"), attribute:
            case "AWS::S3::Bucket", "Arn":
                return f"arn:{PARTITION}:s3:::{self.ref(logical_id)}"
            case "AWS::KMS::Key", "Arn":
                return self._arn("kms", f"key/{self.ref(logical_id)}")
            case "AWS::IAM::Role", "Arn":
                path = self.resolve(self._resources[logical_id].get("Properties", {}).get("Path", "/"))
                return self._arn("iam", f"role{path}{self.ref(logical_id)}", region=False)
            case "AWS::EC2::SecurityGroup", "GroupId":
                return f"sg-0{sha256(logical_id.encode()).hexdigest()[:16]}"
            case "AWS::ECR::Repository", "Arn":
                name = self._resources[logical_id].get("Properties", {}).get("RepositoryName", logical_id.lower())
                return self._arn("ecr", f"repository/{name}")
            case "AWS::ECS::Service", "Name":
                return str(self.resolve(self._resources[logical_id]["Properties"]["ServiceName"]))
            case "AWS::Lambda::Function", "Arn":
                return self._arn("lambda", f"function:{self.ref(logical_id)}")
            case "AWS::Logs::LogGroup", "Arn":
                return self._arn("logs", f"log-group:{self.ref(logical_id)}:*")
            case "AWS::CodeConnections::Connection", "ConnectionArn":
                return self._arn("codeconnections", f"connection/{sha256(logical_id.encode()).hexdigest()[:32]}")
            case type_, _:
                raise LookupError(f"no {attribute} is known for {type_}, asked for by a GetAtt of {logical_id}")

    def resolve(self, value: Any) -> Any:
        """A value of the template with names and ARNs in the place of intrinsic functions."""
        match value:
            case {"Ref": str(name)}:
                return self.ref(name)
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return self.attribute(name, attribute)
            case {"Fn::GetAtt": str(path)}:
                return self.attribute(*path.split(".", 1))
            case {"Fn::Join": [str(delimiter), [*items]]}:
                return delimiter.join(self.resolve(item) for item in items)
            case {"Fn::Select": [index, items]}:
                return self.resolve(items)[int(index)]
            case {"Fn::Split": [str(delimiter), text]}:
                return self.resolve(text).split(delimiter)
            case {"Fn::GetStackOutput": {"StackName": str(stack), "OutputName": str(name), "Region": str(region)}}:
                if self._output is None:
                    raise LookupError(f"output {name} of stack {stack} is not known here")
                return self._output(stack, name, region)
            case {"Fn::Sub": str(text)}:
                return self._substitute(text, {})
            case {"Fn::Sub": [str(text), dict(variables)]}:
                return self._substitute(text, variables)
            case dict():
                unknown = [name for name in value if name.startswith("Fn::")]
                if unknown:
                    raise LookupError(f"{unknown[0]} is not resolved here: {json.dumps(value)}")
                return {name: self.resolve(item) for name, item in value.items()}
            case list():
                return [self.resolve(item) for item in value]
            case _:
                return value

    def _substitute(self, text: str, variables: Mapping[str, Any]) -> str:
        def one(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in variables:
                return str(self.resolve(variables[name]))
            return self.attribute(*name.split(".", 1)) if "." in name else self.ref(name)

        return re.sub(r"\$\{([^}]*)\}", one, text)


@dataclass(frozen=True)
class Deployed:
    """A template and where it was deployed to."""

    name: str
    template: Document
    account: str = ACCOUNT
    region: str = REGION


class Organization:
    """Accounts and regions after templates were deployed to them.

    Args:
        stacks: What was deployed.
        neighbours: Policies of resources that are there already, by ARN. A key that is in neither cannot be asked
            about: without its key policy nobody could use it, whatever a role's own policy says.
        owners: Accounts that have buckets, by ARN, which names none; those of the templates are known, and with one
            account any other bucket is taken for its own.
    """

    def __init__(
        self,
        stacks: Sequence[Deployed],
        neighbours: Mapping[str, Document] | None = None,
        owners: Mapping[str, str] | None = None,
    ) -> None:
        self.physical = {
            one.name: Physical(
                one.template,
                account=one.account,
                region=one.region,
                # A template alone has no names to share with another one.
                stack=one.name if len(stacks) > 1 else "",
                output=self._output,
            )
            for one in stacks
        }
        # By account and name, which no two roles share whatever their paths are.
        self._identity: dict[tuple[str, str], list[Document]] = {}
        self._trust: dict[str, Document] = {}
        self._of_resource = {arn: checked(_translated(policy)) for arn, policy in (neighbours or {}).items()}
        self._owners = dict(owners or {})
        self._accounts = {one.account for one in stacks}
        for one in stacks:
            for name, resource in one.template["Resources"].items():
                self._collect(one, name, resource["Type"], resource.get("Properties", {}))

    def _output(self, stack: str, name: str, region: str) -> str:
        physical = self.physical[stack]
        if physical.region != region:
            raise LookupError(f"stack {stack} is in {physical.region}, not in {region}")
        return physical.output(name)

    def _collect(self, stack: Deployed, name: str, type_: str, properties: Document) -> None:
        physical = self.physical[stack.name]

        def policy(document: Any) -> Document:
            return checked(_translated(physical.resolve(document)))

        match type_:
            case "AWS::IAM::Role":
                if "PermissionsBoundary" in properties:
                    raise LookupError(f"{name} has a permissions boundary, which is not simulated here")
                role = physical.attribute(name, "Arn")
                self._trust[role] = policy(properties["AssumeRolePolicyDocument"])
                documents = [one["PolicyDocument"] for one in properties.get("Policies", ())]
                documents += [_managed(stack, one) for one in properties.get("ManagedPolicyArns", ())]
                self._identity.setdefault(_account_and_name(role), []).extend(map(policy, documents))
            case "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" | "AWS::IAM::RolePolicy":
                for role in properties.get("Roles", [properties["RoleName"]] if "RoleName" in properties else ()):
                    named = (stack.account, physical.resolve(role))
                    self._identity.setdefault(named, []).append(policy(properties["PolicyDocument"]))
            case "AWS::KMS::Key":
                self._of_resource[physical.attribute(name, "Arn")] = policy(properties["KeyPolicy"])
            case "AWS::S3::Bucket":
                self._owners[physical.attribute(name, "Arn")] = stack.account
            case "AWS::S3::BucketPolicy":
                bucket = f"arn:{PARTITION}:s3:::{physical.resolve(properties['Bucket'])}"
                self._of_resource[bucket] = policy(properties["PolicyDocument"])
            case "AWS::ECR::Repository" if "RepositoryPolicyText" in properties:
                self._of_resource[physical.attribute(name, "Arn")] = policy(properties["RepositoryPolicyText"])
            case "AWS::SNS::TopicPolicy":
                for topic in properties["Topics"]:
                    self._of_resource[physical.resolve(topic)] = policy(properties["PolicyDocument"])

    def ask(
        self,
        who: str,
        action: str,
        resource: str,
        context: Mapping[str, str] | None = None,
        *,
        region: str = REGION,
    ) -> Answer:
        """Whether IAM lets this request through.

        Args:
            who: ARN of a role, or a service principal.
            action: In full.
            resource: ARN, or `*` for an action without resource-level permissions.
            context: Condition keys of the request. HTTPS with TLS 1.3, and a resource of the account that has it here,
                unless it says otherwise.
            region: Where it is made.
        """
        context = context or {}
        service = who if who.endswith(".amazonaws.com") else None
        if service is None and who not in self._trust:
            raise LookupError(f"{who} is no role of the templates")
        account, name = ("", "") if service else _account_and_name(who)
        owner = self._owner(resource) or account
        request = EvalContext(
            principal_arn=service or f"arn:{PARTITION}:sts::{account}:assumed-role/{name}/session",
            principal_type="Service" if service else "AssumedRole",
            principal_account=account,
            action=action,
            resource_arn=resource,
            region=region,
            source_ip="192.0.2.1",
            secure_transport=context.get("aws:SecureTransport", "true") == "true",
            service_context={
                "s3:tlsversion": "1.3",
                _STAND_INS["ArnEquals", "aws:PrincipalArn"]: None if service else who,
                _STAND_INS["StringEquals", "aws:ResourceAccount"]: context.get("aws:ResourceAccount", owner),
            }
            | {key.lower(): value for key, value in context.items()},
        )
        policy = self._policy_of(resource, action)
        if service:
            return _ANSWERS[evaluate_resource_policy(policy, request, service=service).decision]
        documents = self._identity.get((account, name), ())
        identity = evaluate(request, [parse_policy_document(document) for document in documents])
        # A key or a role is closed to its own account unless its policy says otherwise; anything else is open to it.
        required = action.startswith(("kms:", "sts:"))
        return _ANSWERS[combine_resource_policy(identity, request, policy, owner, required=required).decision]

    def _owner(self, resource: str) -> str:
        if resource == "*":
            return ""
        bucket = resource.partition("/")[0]
        if resource.startswith(f"arn:{PARTITION}:s3:") and bucket not in self._owners and len(self._accounts) > 1:
            raise LookupError(f"whose {bucket} is, is not known here")
        return resource.split(":")[4] or self._owners.get(bucket, "")

    def _policy_of(self, resource: str, action: str) -> Document | None:
        if action.startswith("sts:"):
            return self._trust[resource]
        if action.startswith("kms:") and resource not in self._of_resource:
            raise LookupError(f"the key policy of {resource} is not known here")
        bucket_or_other = resource.partition("/")[0] if resource.startswith(f"arn:{PARTITION}:s3:") else resource
        return self._of_resource.get(bucket_or_other)


class Simulation:
    """The one account after one template was deployed to it, with roles known by their logical ids.

    Args:
        template: From `code_family_constructs.testing.synthesized`.
        neighbours: As for an `Organization`.
    """

    def __init__(self, template: Document, neighbours: Mapping[str, Document] | None = None) -> None:
        self._organization = Organization([Deployed("Stack", template)], neighbours)
        self.physical = self._organization.physical["Stack"]

    def ask(self, who: str, action: str, resource: str, context: Mapping[str, str] | None = None) -> Answer:
        """Whether IAM lets this request through.

        Args:
            who: Logical id of a role, or a service principal.
            action: In full.
            resource: ARN, or `*` for an action without resource-level permissions.
            context: Condition keys of the request. HTTPS with TLS 1.3 unless it says otherwise.
        """
        role_or_service = who if who.endswith(".amazonaws.com") else self.physical.attribute(who, "Arn")
        return self._organization.ask(role_or_service, action, resource, context)


def _account_and_name(role: str) -> tuple[str, str]:
    return role.split(":")[4], role.rpartition("/")[2]


def _managed(stack: Deployed, reference: Any) -> Any:
    resources = stack.template["Resources"]
    match reference:
        case {"Ref": str(name)} if resources.get(name, {}).get("Type") == "AWS::IAM::ManagedPolicy":
            return resources[name]["Properties"]["PolicyDocument"]
        case _:
            raise LookupError(f"what policy {reference} allows is not known here")


def _translated(document: Document) -> Document:
    """The document with keys of our own in the place of those that the evaluator answers differently from AWS."""
    return {
        **document,
        "Statement": [
            {
                **statement,
                "Condition": {
                    operator: {_STAND_INS.get((operator, key), key): value for key, value in keys.items()}
                    for operator, keys in statement["Condition"].items()
                },
            }
            if "Condition" in statement
            else statement
            for statement in document["Statement"]
        ],
    }


def checked(document: Document) -> Document:
    """The document, if the evaluator gives the answer that AWS would give."""
    for statement in document["Statement"]:
        if statement["Effect"] not in ("Allow", "Deny") or {"Action", "NotAction"}.isdisjoint(statement):
            raise ValueError(f"no statement that AWS would take: {statement}")
        if "NotPrincipal" in statement:
            raise ValueError(f"NotPrincipal is not simulated here: {statement}")
        principal = statement.get("Principal", {})
        for name in listed(principal if isinstance(principal, str) else principal.get("AWS", ())):
            # AWS takes no other wildcard here; and for a principal that is gone it keeps an id that nobody has.
            if name != "*" and not _PRINCIPAL.fullmatch(name):
                raise ValueError(f"principal {name!r} is not one that AWS would take: {statement}")
        conditions: Mapping[str, Any] = statement.get("Condition", {})
        unknown = set(conditions) - _OPERATORS
        if unknown:
            raise ValueError(f"{sorted(unknown)} not tried by any control: {statement}")
        keys = {key for keys in conditions.values() for key in keys}
        if {key.lower() for key in keys} & _DIFFERENT_KEYS:
            raise ValueError(f"the evaluator answers these keys differently from AWS: {statement}")
        patterns = [*listed(statement.get("Resource", ())), *listed(statement.get("NotResource", ()))]
        for operator in ("ArnEquals", "ArnLike"):
            patterns += [value for values in conditions.get(operator, {}).values() for value in listed(values)]
        for pattern in patterns:
            if not isinstance(pattern, str) or "${" in pattern:
                raise ValueError(f"{pattern!r} is not resolved: {statement}")
            parts = pattern.split(":", 5)
            if pattern != "*" and (len(parts) < 6 or any(c in ":".join(parts[:5]) for c in "*?")):
                raise ValueError(f"{pattern} is no ARN with all wildcards in its last part: {statement}")
    return document


def listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


@dataclass(frozen=True)
class Grant:
    """An Allow of a role: its policy's logical id, the actions, and the resources as resolved."""

    policy: str
    actions: Sequence[str]
    resources: Sequence[str]


def grants_of(template: Document) -> Iterator[Grant]:
    """Each Allow statement of the identity policies in a template."""
    physical = Physical(template)
    for name, statement in statements_of(template["Resources"]):
        if statement["Effect"] == "Allow":
            resolved = physical.resolve(statement)
            yield Grant(name, listed(resolved["Action"]), listed(resolved["Resource"]))


@cache
def _service_authorization_reference() -> Mapping[str, Any]:
    # cfn-lint carries AWS's Service Authorization Reference, to check policies with it.
    reference: Mapping[str, Any] = json.loads(
        (files.files("cfnlint.data.AdditionalSpecs") / "Policies.json").read_text()
    )
    return reference


def has_resources(action: str) -> bool:
    """Whether AWS can allow the action on some resources only; raises KeyError if it has no such action."""
    return bool(_kinds(action))


def takes(action: str, resource: str) -> bool:
    """Whether this is a resource, or a pattern of resources, that AWS checks the action against."""
    prefix = action.partition(":")[0]
    service = _service_authorization_reference()[prefix]
    kinds = _kinds(action)
    if prefix == "codestar-connections":
        # Renamed; AWS asks for either action, whatever the prefix of the connection's ARN:
        # https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
        resource = resource.replace(":codeconnections:", f":{prefix}:")
    if not kinds or resource == "*":
        return resource == "*"
    return any(
        _format(format_).fullmatch(resource)
        for kind in kinds
        for format_ in service["Resources"][kind.lower()]["ARNFormats"]
        # The reference as cfn-lint has it gives a bucket and an object the same format.
        if kind not in ("bucket", "object") or (kind == "object") == ("/" in resource)
    )


def _kinds(action: str) -> Sequence[str]:
    prefix, _, name = action.partition(":")
    kinds: Sequence[str] = _service_authorization_reference()[prefix]["Actions"][name.lower()].get("Resources", ())
    return kinds


@cache
def _format(format_: str) -> re.Pattern[str]:
    parts = {"Partition": PARTITION, "Region": r"[a-z0-9-]+", "Account": r"\d{12}"}
    return re.compile(re.sub(r"\$\{(\w+)\}", lambda match: parts.get(match[1], ".+"), format_))
