from tests.local.templates import project, resource


def test_a_property_that_nothing_looks_at_is_named_in_the_event(stack):
    topic = resource("AWS::SNS::Topic", DisplayName="d", DataProtectionPolicy={})
    assert stack.create(Topic=topic, Build=project()) == "CREATE_COMPLETE"
    reasons = {
        event["LogicalResourceId"]: event.get("ResourceStatusReason") or None
        for event in stack.events()
        if event["ResourceStatus"] == "CREATE_COMPLETE"
    }
    expected = "Created without what the embedded endpoint does not model: DataProtectionPolicy"
    assert reasons == {"Topic": expected, "Build": None, stack.name: None}
