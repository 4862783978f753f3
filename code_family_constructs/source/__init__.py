"""Floor 1: where does the source live?"""

from dataclasses import dataclass

from aws_cdk import aws_codepipeline as codepipeline
from constructs import Construct


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceContext:
    """Where a source action is to be made.

    Attributes:
        scope: The pipeline, for resources that the source needs beside its action (a rule that starts the pipeline).
        pipeline_name: Physical name of the pipeline.
        action_name: What the source stage calls the action.
        output: The artifact to put out.
        namespace: Namespace for the variables that the action puts out.
        detect_changes: Whether a change in the source starts the pipeline by itself; false where filters of a trigger
            decide, or where only a schedule or a person starts it.
    """

    scope: Construct
    pipeline_name: str
    action_name: str
    output: codepipeline.Artifact
    namespace: str
    detect_changes: bool
