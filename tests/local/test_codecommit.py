import pytest
from botocore.exceptions import ClientError

from tests.local.templates import get, ref, resource

KEY = "arn:aws:kms:us-east-1:123456789012:key/0a1b"
TRIGGER = {
    "Name": "all",
    "DestinationArn": "arn:aws:sns:us-east-1:123456789012:topic",
    "Branches": ["main"],
    "Events": ["all"],
}


def repository(name, **properties):
    return resource("AWS::CodeCommit::Repository", RepositoryName=name, **properties)


def read(aws, name):
    return aws("codecommit").get_repository(repositoryName=name)["repositoryMetadata"]


def tags_of(aws, name):
    return aws("codecommit").list_tags_for_resource(resourceArn=read(aws, name)["Arn"])["tags"]


def test_every_property_can_be_read_back(aws, stack, name):
    made = repository(
        name,
        RepositoryDescription="The shop",
        KmsKeyId=KEY,
        Code={"BranchName": "trunk", "S3": {"Bucket": "bucket", "Key": "code.zip"}},
        Tags=[{"Key": "team", "Value": "a"}],
        Triggers=[TRIGGER],
    )
    assert stack.create(Repository=made) == "CREATE_COMPLETE"
    found = read(aws, name)
    assert found["repositoryId"] == stack.id_of("Repository")
    assert (found["repositoryDescription"], found["kmsKeyId"], found["defaultBranch"]) == ("The shop", KEY, "trunk")
    assert found["cloneUrlHttp"] == f"https://git-codecommit.us-east-1.amazonaws.com/v1/repos/{name}"
    assert tags_of(aws, name)["team"] == "a"
    (trigger,) = aws("codecommit").get_repository_triggers(repositoryName=name)["triggers"]
    assert trigger == {key[0].lower() + key[1:]: value for key, value in TRIGGER.items()}


def test_attributes_of_a_repository_are_there_for_other_resources(aws, stack, name):
    parameters = {
        attribute: resource(
            "AWS::SSM::Parameter", Name=f"{name}-{attribute}", Type="String", Value=get("Repository", attribute)
        )
        for attribute in ("Arn", "CloneUrlHttp", "CloneUrlSsh", "Name")
    }
    stack.create(
        Repository=repository(name),
        Id=resource("AWS::SSM::Parameter", Name=f"{name}-Id", Type="String", Value=ref("Repository")),
        **parameters,
    )
    found = read(aws, name)

    def value(attribute):
        return aws("ssm").get_parameter(Name=f"{name}-{attribute}")["Parameter"]["Value"]

    assert (value("Arn"), value("Name"), value("Id")) == (found["Arn"], name, found["repositoryId"])
    assert (value("CloneUrlHttp"), value("CloneUrlSsh")) == (found["cloneUrlHttp"], found["cloneUrlSsh"])


def test_everything_changes_in_place_the_name_too(aws, stack, name):
    stack.create(
        Repository=repository(
            name,
            RepositoryDescription="old",
            Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
            Triggers=[TRIGGER],
        )
    )
    repository_id = stack.id_of("Repository")
    changed = repository(f"{name}2", KmsKeyId=KEY, Tags=[{"Key": "b", "Value": "3"}])
    assert stack.update(Repository=changed) == "UPDATE_COMPLETE"
    assert stack.id_of("Repository") == repository_id
    found = read(aws, f"{name}2")
    assert (found["repositoryDescription"], found["kmsKeyId"]) == ("", KEY)
    assert found["Arn"].endswith(f":{name}2")
    tags = tags_of(aws, f"{name}2")
    assert (tags.get("a"), tags["b"]) == (None, "3")
    assert aws("codecommit").get_repository_triggers(repositoryName=f"{name}2")["triggers"] == []
    with pytest.raises(ClientError, match="RepositoryDoesNotExistException"):
        read(aws, name)


def test_a_key_that_is_taken_away_leaves_that_of_aws(aws, stack, name):
    stack.create(Repository=repository(name, KmsKeyId=KEY))
    assert stack.update(Repository=repository(name)) == "UPDATE_COMPLETE"
    assert read(aws, name)["kmsKeyId"] == "alias/aws/codecommit"


def test_repositories_are_listed_in_the_order_that_is_asked_for(aws, stack, name):
    stack.create(B=repository(f"{name}-b"), A=repository(f"{name}-a"))
    client = aws("codecommit")

    def ours(**settings):
        found = [item["repositoryName"] for item in client.list_repositories(**settings)["repositories"]]
        return [item.removeprefix(f"{name}-") for item in found if item.startswith(name)]

    assert ours() == ["a", "b"]
    assert ours(order="descending") == ["b", "a"]
    found = client.batch_get_repositories(repositoryNames=[f"{name}-a", "other"])
    assert [item["repositoryName"] for item in found["repositories"]] == [f"{name}-a"]
    assert found["repositoriesNotFound"] == ["other"]


def test_a_name_is_taken_once(stack, name):
    assert stack.create(A=repository(name), B={**repository(name), "DependsOn": "A"}) == "ROLLBACK_COMPLETE"
    assert "already exists" in stack.reason()


def test_a_name_of_another_repository_cannot_be_taken_over(stack, name):
    stack.create(A=repository(name), B=repository(f"{name}2"))
    assert stack.update(A=repository(f"{name}2"), B=repository(f"{name}2")) == "UPDATE_ROLLBACK_COMPLETE"
    assert "already exists" in stack.reason()


def test_a_deleted_repository_is_gone(aws, stack, name):
    stack.create(Repository=repository(name))
    assert stack.delete() == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="RepositoryDoesNotExistException"):
        read(aws, name)
    assert aws("codecommit").delete_repository(repositoryName=name).get("repositoryId") is None


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"RepositoryName": "my shop"}, "Member must satisfy regular expression pattern"),
        ({"RepositoryName": "x" * 101}, "Member must have length less than or equal to 100"),
        ({"RepositoryDescription": "x" * 1001}, "Member must have length less than or equal to 1000"),
        ({"Branch": "main"}, "#: extraneous key [Branch] is not permitted"),
        ({"Triggers": [{**TRIGGER, "Events": ["some"]}]}, "Member must satisfy enum value set: [all, "),
    ],
)
def test_a_wrong_property_fails_with_the_reason(stack, properties, reason):
    made = resource("AWS::CodeCommit::Repository", **{"RepositoryName": "shop", **properties})
    assert stack.create(Repository=made) == "ROLLBACK_COMPLETE"
    assert reason in stack.reason()
