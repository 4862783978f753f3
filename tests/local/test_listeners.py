from tests.local.services import balanced, listener
from tests.local.templates import ref

WEIGHTED = {
    "Type": "forward",
    "ForwardConfig": {
        "TargetGroups": [{"TargetGroupArn": ref("Blue"), "Weight": "9"}, {"TargetGroupArn": ref("Green"), "Weight": 1}],
        "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
    },
}


def test_a_listener_of_a_stack_forwards_by_weight(aws, stack):
    assert stack.create(**{**balanced(), "Listener": listener(80, WEIGHTED)}) == "CREATE_COMPLETE"
    [action] = default_actions(aws, stack)
    assert weights(action) == {stack.id_of("Blue"): 9, stack.id_of("Green"): 1}
    assert action["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": True, "DurationSeconds": 60}
    assert "TargetGroupArn" not in action


def test_one_target_group_is_reported_in_both_ways(aws, stack):
    stack.create(**balanced())
    [action] = default_actions(aws, stack)
    assert action["TargetGroupArn"] == stack.id_of("Blue")
    assert weights(action) == {stack.id_of("Blue"): 1}
    assert action["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": False}


def test_the_api_changes_weights_of_a_listener_and_of_a_rule(aws, stack):
    stack.create(**balanced())
    blue, green = stack.id_of("Blue"), stack.id_of("Green")
    groups = [{"TargetGroupArn": blue, "Weight": 10}, {"TargetGroupArn": green, "Weight": 90}]
    forward = [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]
    aws("elbv2").modify_listener(ListenerArn=stack.id_of("Listener"), DefaultActions=forward)
    aws("elbv2").modify_rule(RuleArn=stack.id_of("Rule"), Actions=forward)
    assert weights(default_actions(aws, stack)[0]) == {blue: 10, green: 90}
    [rule] = aws("elbv2").describe_rules(RuleArns=[stack.id_of("Rule")])["Rules"]
    assert weights(rule["Actions"][0]) == {blue: 10, green: 90}


def test_a_target_group_of_a_weighted_rule_cannot_go(aws, stack):
    resources = balanced()
    stack.create(**resources)
    del resources["Green"]
    resources["Rule"]["Properties"]["Actions"] = [{"Type": "forward", "TargetGroupArn": ref("Blue")}]
    rule = stack.id_of("Rule")
    green = stack.id_of("Green")
    forward = {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": green}]}}
    aws("elbv2").modify_listener(ListenerArn=stack.id_of("TestListener"), DefaultActions=[forward])
    stack.update(**resources)
    assert "is currently in use by a listener or a rule" in stack.reason()
    assert [rule] == [item["RuleArn"] for item in aws("elbv2").describe_rules(RuleArns=[rule])["Rules"]]


def default_actions(aws, stack):
    [found] = aws("elbv2").describe_listeners(ListenerArns=[stack.id_of("Listener")])["Listeners"]
    return found["DefaultActions"]


def weights(action):
    return {group["TargetGroupArn"]: group["Weight"] for group in action["ForwardConfig"]["TargetGroups"]}
