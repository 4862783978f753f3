import json

from tests.local.templates import resource


def repository(name, *moving, **properties):
    filters = [
        {"ImageTagMutabilityExclusionFilterType": "WILDCARD", "ImageTagMutabilityExclusionFilterValue": tag}
        for tag in moving
    ]
    excluded = {"ImageTagMutabilityExclusionFilters": filters} if moving else {}
    return resource(
        "AWS::ECR::Repository",
        RepositoryName=name,
        ImageTagMutability="IMMUTABLE_WITH_EXCLUSION" if moving else "IMMUTABLE",
        EmptyOnDelete=True,
        **excluded,
        **properties,
    )


def test_a_repository_can_be_read_back_and_goes_with_its_images(aws, stack, name):
    ecr = aws("ecr")
    policy = {"LifecyclePolicyText": json.dumps({"rules": []})}
    first = repository(name, "cache*", LifecyclePolicy=policy, ImageScanningConfiguration={"ScanOnPush": True})
    assert stack.create(Images=first) == "CREATE_COMPLETE"
    [found] = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    assert found["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert found["imageTagMutabilityExclusionFilters"] == [
        {"filterType": "WILDCARD", "filter": "cache*"},
    ]
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    assert json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]) == {"rules": []}
    assert stack.update(Images=repository(name)) == "UPDATE_COMPLETE"
    [found] = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    assert "imageTagMutabilityExclusionFilters" not in found
    ecr.put_image(repositoryName=name, imageManifest="{}", imageTag="1")
    assert stack.delete() == "DELETE_COMPLETE"
    assert name not in [item["repositoryName"] for item in ecr.describe_repositories()["repositories"]]
