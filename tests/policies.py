"""What IAM would answer: the policies of a synthesized template, asked about one request at a time.

Conditions and wildcards are evaluated by ministack's evaluator, used as a library. What it would get wrong without a
word is refused here instead, so that an answer is never a guess:

- It takes an operator that it does not know for "no match": a Deny would be gone. Only those that the controls in
  tests/stacks/test_github_to_ec2_roles.py try are let through.
- It takes a resource that is no string, such as an intrinsic function, for "any resource": all are resolved first.
- It never applies NotPrincipal, and puts nothing in the place of policy variables.
- Its wildcards cross the colons of an ARN; AWS compares the six parts one by one. With a wildcard in the last part
  alone, both come to the same.
- Its aws:PrincipalArn is the session's; AWS's is the role's.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": PARTITION,
    "AWS::StackId": f"arn:{PARTITION}:cloudformation:{REGION}:{ACCOUNT}:stack/Stack/1a2b3c4d",
    "AWS::URLSuffix": "amazonaws.com",
}
_OPERATORS = {"ArnLike", "Bool", "NumericLessThan", "StringEquals", "StringEqualsIfExists"}
_DIFFERENT_KEYS = {"aws:principalarn", "aws:principaltype", "aws:resourceaccount"}


def arn(service: str, resource: str, *, region: bool = True, account: str = ACCOUNT) -> str:
    """ARN of something in the made-up account."""
    return f"arn:{PARTITION}:{service}:{REGION if region else ''}:{account}:{resource}"


class Physical:
    """Names and ARNs that the resources of a template could have got, always the same for a logical id."""

    def __init__(self, template: Document) -> None:
        self._resources: Mapping[str, Any] = template["Resources"]

    def ref(self, logical_id: str) -> str:
        if logical_id in _PSEUDO:
            return _PSEUDO[logical_id]
        if logical_id not in self._resources:
            raise LookupError(f"Ref of {logical_id}, which is no resource of the template")
        digest = sha256(logical_id.encode()).hexdigest()[:16]
        match self._resources[logical_id]["Type"]:
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
                return arn("iam", f"policy/{logical_id}-{digest}", region=False)
            case "AWS::SNS::Topic":
                return arn("sns", f"{logical_id}-{digest}")
            case "AWS::ECS::TaskDefinition":
                return arn("ecs", f"task-definition/{logical_id}-{digest}:1")
            case "AWS::ElasticLoadBalancingV2::Listener":
                return arn("elasticloadbalancing", f"listener/app/{logical_id[:15]}/{digest}/{digest}")
            case "AWS::ElasticLoadBalancingV2::ListenerRule":
                return arn("elasticloadbalancing", f"listener-rule/app/{logical_id[:15]}/{digest}/{digest}/{digest}")
            case "AWS::ElasticLoadBalancingV2::TargetGroup":
                return arn("elasticloadbalancing", f"targetgroup/{logical_id[:15]}-{digest}/{digest}")
            case other:
                raise LookupError(f"no physical id is known for {other}, asked for by a Ref of {logical_id}")

    def attribute(self, logical_id: str, attribute: str) -> str:
        match self._resources.get(logical_id, {}).get("Type"), attribute:
            case "AWS::S3::Bucket", "Arn":
                return f"arn:{PARTITION}:s3:::{self.ref(logical_id)}"
            case "AWS::KMS::Key", "Arn":
                return arn("kms", f"key/{self.ref(logical_id)}")
            case "AWS::IAM::Role", "Arn":
                return arn("iam", f"role/{self.ref(logical_id)}", region=False)
            case "AWS::EC2::SecurityGroup", "GroupId":
                return f"sg-0{sha256(logical_id.encode()).hexdigest()[:16]}"
            case "AWS::ECR::Repository", "Arn":
                return arn("ecr", f"repository/{logical_id.lower()}")
            case "AWS::ECS::Service", "Name":
                return str(self.resolve(self._resources[logical_id]["Properties"]["ServiceName"]))
            case "AWS::Lambda::Function", "Arn":
                return arn("lambda", f"function:{self.ref(logical_id)}")
            case "AWS::Logs::LogGroup", "Arn":
                return arn("logs", f"log-group:{self.ref(logical_id)}:*")
            case "AWS::CodeConnections::Connection", "ConnectionArn":
                return arn("codeconnections", f"connection/{sha256(logical_id.encode()).hexdigest()[:32]}")
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


class Simulation:
    """The account after the template was deployed to it.

    Args:
        template: From `code_family_constructs.testing.synthesized`.
        neighbours: Policies of resources that are in the account already, by ARN. A key that is in neither cannot be
            asked about: without its key policy nobody could use it, whatever a role's own policy says.
    """

    def __init__(self, template: Document, neighbours: Mapping[str, Document] | None = None) -> None:
        self.physical = Physical(template)
        self._resources: Mapping[str, Any] = template["Resources"]
        self._identity: dict[str, list[Document]] = {}
        self._trust: dict[str, Document] = {}
        self._of_resource: dict[str, Document] = {arn: checked(policy) for arn, policy in (neighbours or {}).items()}
        for name, resource in self._resources.items():
            self._collect(name, resource["Type"], resource.get("Properties", {}))

    def _collect(self, name: str, type_: str, properties: Document) -> None:
        resolve = self.physical.resolve
        match type_:
            case "AWS::IAM::Role":
                if "PermissionsBoundary" in properties:
                    raise LookupError(f"{name} has a permissions boundary, which is not simulated here")
                self._trust[self.physical.attribute(name, "Arn")] = checked(
                    resolve(properties["AssumeRolePolicyDocument"])
                )
                documents = [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
                documents += [self._managed(policy) for policy in properties.get("ManagedPolicyArns", ())]
                self._identity.setdefault(self.physical.ref(name), []).extend(
                    checked(resolve(document)) for document in documents
                )
            case "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" | "AWS::IAM::RolePolicy":
                for role in properties.get("Roles", [properties["RoleName"]] if "RoleName" in properties else ()):
                    self._identity.setdefault(resolve(role), []).append(checked(resolve(properties["PolicyDocument"])))
            case "AWS::KMS::Key":
                self._of_resource[self.physical.attribute(name, "Arn")] = checked(resolve(properties["KeyPolicy"]))
            case "AWS::S3::BucketPolicy":
                bucket = f"arn:{PARTITION}:s3:::{resolve(properties['Bucket'])}"
                self._of_resource[bucket] = checked(resolve(properties["PolicyDocument"]))
            case "AWS::SNS::TopicPolicy":
                for topic in properties["Topics"]:
                    self._of_resource[resolve(topic)] = checked(resolve(properties["PolicyDocument"]))

    def _managed(self, reference: Any) -> Any:
        match reference:
            case {"Ref": str(name)} if self._resources.get(name, {}).get("Type") == "AWS::IAM::ManagedPolicy":
                return self._resources[name]["Properties"]["PolicyDocument"]
            case _:
                raise LookupError(f"what policy {reference} allows is not known here")

    def ask(self, who: str, action: str, resource: str, context: Mapping[str, str] | None = None) -> Answer:
        """Whether IAM lets this request through.

        Args:
            who: Logical id of a role, or a service principal.
            action: In full.
            resource: ARN, or `*` for an action without resource-level permissions.
            context: Condition keys of the request. HTTPS with TLS 1.3 unless it says otherwise.
        """
        service = who if who.endswith(".amazonaws.com") else None
        if service is None and who not in self._resources:
            raise LookupError(f"{who} is no role of the template")
        role = None if service else self.physical.ref(who)
        request = EvalContext(
            principal_arn=service or f"arn:{PARTITION}:sts::{ACCOUNT}:assumed-role/{role}/session",
            principal_type="Service" if service else "AssumedRole",
            principal_account="" if service else ACCOUNT,
            action=action,
            resource_arn=resource,
            region=REGION,
            source_ip="192.0.2.1",
            secure_transport=(context or {}).get("aws:SecureTransport", "true") == "true",
            service_context={"s3:tlsversion": "1.3"} | {key.lower(): value for key, value in (context or {}).items()},
        )
        policy = self._policy_of(resource, action)
        if service:
            return _ANSWERS[evaluate_resource_policy(policy, request, service=service).decision]
        if action.startswith("sts:"):
            raise LookupError("a role that assumes another one is not simulated here")
        identity = evaluate(request, [parse_policy_document(document) for document in self._identity[str(role)]])
        # A key is closed to its own account unless the key policy says otherwise; anything else is open to it.
        combined = combine_resource_policy(identity, request, policy, ACCOUNT, required=action.startswith("kms:"))
        return _ANSWERS[combined.decision]

    def _policy_of(self, resource: str, action: str) -> Document | None:
        if action.startswith("sts:"):
            return self._trust[resource]
        if action.startswith("kms:") and resource not in self._of_resource:
            raise LookupError(f"the key policy of {resource} is not known here")
        bucket_or_other = resource.partition("/")[0] if resource.startswith(f"arn:{PARTITION}:s3:") else resource
        return self._of_resource.get(bucket_or_other)


def checked(document: Document) -> Document:
    """The document, if the evaluator gives the answer that AWS would give."""
    for statement in document["Statement"]:
        if statement["Effect"] not in ("Allow", "Deny") or {"Action", "NotAction"}.isdisjoint(statement):
            raise ValueError(f"no statement that AWS would take: {statement}")
        if "NotPrincipal" in statement:
            raise ValueError(f"NotPrincipal is not simulated here: {statement}")
        conditions: Mapping[str, Any] = statement.get("Condition", {})
        unknown = set(conditions) - _OPERATORS
        if unknown:
            raise ValueError(f"{sorted(unknown)} not tried by any control: {statement}")
        keys = {key for keys in conditions.values() for key in keys}
        if {key.lower() for key in keys} & _DIFFERENT_KEYS:
            raise ValueError(f"the evaluator answers these keys differently from AWS: {statement}")
        patterns = [*listed(statement.get("Resource", ())), *listed(statement.get("NotResource", ()))]
        patterns += [value for values in conditions.get("ArnLike", {}).values() for value in listed(values)]
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
