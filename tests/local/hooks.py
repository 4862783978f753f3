"""Functions that serve a deployment as hooks; what they were told is in a parameter that a test can read."""

REPORTS = """
    import json, os
    import boto3


    def handler(event, context):
        if "Note" in os.environ:
            boto3.client("ssm").put_parameter(
                Name=os.environ["Note"], Value=json.dumps(event), Type="String", Overwrite=True
            )
        boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
            deploymentId=event["DeploymentId"],
            lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
            status=os.environ.get("Status", "Succeeded"),
        )
"""
SILENT = "def handler(event, context): pass"
RAISES = "def handler(event, context): raise ValueError('not today')"
