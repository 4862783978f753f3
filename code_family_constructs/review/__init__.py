"""Side wing: what a template declares, in the form in which it is looked at elsewhere; imports no construct of ours."""

from code_family_constructs.review.pipeline_definition import pipeline_definition, pipeline_differences

__all__ = ["pipeline_definition", "pipeline_differences"]
