"""What ministack's listeners lack: actions that forward to several target groups by weight. And how deployments shift.

A forward action is reported as AWS does it: always with its target groups and their weights, and with the one target
group beside them when there is only one.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import Json, call, without

Actions = Callable[..., list[Json]]


def parsed(parse: Actions) -> Actions:
    """Return what reads actions from the parameters of a query, with their weights."""

    def parse_with_weights(parameters: Json, prefix: str = "DefaultActions") -> list[Json]:
        actions = parse(parameters, prefix)
        for index, action in enumerate(actions, 1):
            _normalize(action, _config_in_query(parameters, f"{prefix}.member.{index}.ForwardConfig"))
        return actions

    return parse_with_weights


def converted(convert: Actions) -> Actions:
    """Return what reads actions from the properties of a resource, with their weights."""

    def convert_with_weights(properties: Json, balancer: str | None, prop: str = "DefaultActions") -> list[Json]:
        actions = convert(properties, balancer, prop)
        for action, given in zip(actions, properties.get(prop) or [], strict=True):
            _normalize(action, given.get("ForwardConfig") or {})
        return actions

    return convert_with_weights


def rendered(render: Callable[[Json], str]) -> Callable[[Json], str]:
    """Return what writes an action, with its weights."""

    def render_with_weights(action: Json) -> str:
        text, end = render(action), "</member>"
        if "ForwardConfig" not in action:
            return text
        groups = "".join(
            f"<member><TargetGroupArn>{group['TargetGroupArn']}</TargetGroupArn><Weight>{group['Weight']}</Weight></member>"
            for group in action["ForwardConfig"]["TargetGroups"]
        )
        stickiness = "".join(
            f"<{key}>{value}</{key}>" for key, value in action["ForwardConfig"]["TargetGroupStickinessConfig"].items()
        )
        return (
            f"{text.removesuffix(end)}<ForwardConfig><TargetGroups>{groups}</TargetGroups>"
            f"<TargetGroupStickinessConfig>{stickiness}</TargetGroupStickinessConfig></ForwardConfig>{end}"
        )

    return render_with_weights


_ministack.around_listener_actions(parsed, converted, rendered)


def reroute(listener: str, groups: Collection[str], to: str) -> None:
    """Forward to one target group whatever a listener's own action and its rules forward to one of `groups`."""
    [found] = call("elbv2", "describe_listeners", ListenerArns=[listener])["Listeners"]
    if _forwards(found["DefaultActions"]) & set(groups):
        call("elbv2", "modify_listener", ListenerArn=listener, DefaultActions=_to(found["DefaultActions"], {to: 1}))
    for rule in call("elbv2", "describe_rules", ListenerArn=listener)["Rules"]:
        if not rule["IsDefault"] and _forwards(rule["Actions"]) & set(groups):
            call("elbv2", "modify_rule", RuleArn=rule["RuleArn"], Actions=_to(rule["Actions"], {to: 1}))


def weigh(listener_or_rule: str, weights: Mapping[str, int]) -> None:
    """Set the weights of the target groups that a rule, or a listener by its own action, forwards to."""
    if ":listener/" in listener_or_rule:
        [found] = call("elbv2", "describe_listeners", ListenerArns=[listener_or_rule])["Listeners"]
        actions = _to(found["DefaultActions"], weights)
        call("elbv2", "modify_listener", ListenerArn=listener_or_rule, DefaultActions=actions)
        return
    [rule] = call("elbv2", "describe_rules", RuleArns=[listener_or_rule])["Rules"]
    if rule["IsDefault"]:
        weigh(_listener_of(listener_or_rule), weights)
    else:
        call("elbv2", "modify_rule", RuleArn=listener_or_rule, Actions=_to(rule["Actions"], weights))


def forwarded() -> set[str]:
    """Return the ARNs of the target groups that some load balancer forwards to."""
    return {group for actions in all_actions() for group in _forwards(actions)}


def all_actions() -> Iterator[list[Json]]:
    """Yield the actions of each listener and of each of its rules."""
    for balancer in call("elbv2", "describe_load_balancers")["LoadBalancers"]:
        arn = balancer["LoadBalancerArn"]
        for listener in call("elbv2", "describe_listeners", LoadBalancerArn=arn)["Listeners"]:
            yield listener["DefaultActions"]
            for rule in call("elbv2", "describe_rules", ListenerArn=listener["ListenerArn"])["Rules"]:
                yield rule["Actions"]


def _listener_of(rule: str) -> str:
    return rule.replace(":listener-rule/", ":listener/").rpartition("/")[0]


def _forwards(actions: list[Json]) -> set[str]:
    groups = [group for action in actions for group in action.get("ForwardConfig", {}).get("TargetGroups", [])]
    return {group["TargetGroupArn"] for group in groups}


def _to(actions: list[Json], weights: Mapping[str, int]) -> list[Json]:
    groups = [{"TargetGroupArn": group, "Weight": weight} for group, weight in weights.items()]
    return [
        {**without(action, "TargetGroupArn"), "ForwardConfig": {**action["ForwardConfig"], "TargetGroups": groups}}
        if action["Type"] == "forward"
        else action
        for action in actions
    ]


def _normalize(action: Json, config: Json) -> None:
    if action["Type"] != "forward":
        return
    single = [{"TargetGroupArn": action["TargetGroupArn"]}] if "TargetGroupArn" in action else []
    groups = [
        {"TargetGroupArn": group["TargetGroupArn"], "Weight": int(group.get("Weight", 1))}
        for group in config.get("TargetGroups") or single
    ]
    stickiness = {key: str(value).lower() for key, value in config.get("TargetGroupStickinessConfig", {}).items()}
    action["ForwardConfig"] = {
        "TargetGroups": groups,
        "TargetGroupStickinessConfig": {"Enabled": "false", **stickiness},
    }
    action.pop("TargetGroupArn", None)
    if len(groups) == 1:
        action["TargetGroupArn"] = groups[0]["TargetGroupArn"]


def _config_in_query(parameters: Json, prefix: str) -> Json:
    def text(name: str) -> Any:
        value = parameters.get(f"{prefix}.{name}")
        return value[0] if isinstance(value, list) else value

    groups: list[Json] = []
    while arn := text(f"TargetGroups.member.{len(groups) + 1}.TargetGroupArn"):
        groups.append({"TargetGroupArn": arn, "Weight": text(f"TargetGroups.member.{len(groups) + 1}.Weight") or 1})
    stickiness = {
        key: text(f"TargetGroupStickinessConfig.{key}")
        for key in ("Enabled", "DurationSeconds")
        if text(f"TargetGroupStickinessConfig.{key}")
    }
    return {"TargetGroups": groups, "TargetGroupStickinessConfig": stickiness}
