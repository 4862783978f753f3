"""A check that deployments of the tests wait for: it does what a parameter says."""

import os


def as_told(deployment):
    import boto3

    told = boto3.client("ssm").get_parameter(Name=os.environ["TOLD"])["Parameter"]["Value"]
    verb, _, alarm = told.partition(" ")
    if verb == "fire":
        boto3.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="as told")
    print("told to", verb, "at", deployment["stage"])
    return verb != "fail"
