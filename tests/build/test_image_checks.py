"""A buildspec of one's own for an image pushes, logs in and tells the next action, or a finding says what it lacks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import Buildspec
from code_family_constructs.build.image_checks import DEPLOY_FILES, check_image
from code_family_constructs.documents import read_document, render

IMAGE = "aws/codebuild/amazonlinux-x86_64-standard:6.0"
# Chapter 6-5 of the article.
ARTICLE = """\
version: 0.2
phases:
  pre_build:
    commands:
      - echo "Logging in to ECR"
      - aws ecr get-login-password --region $AWS_DEFAULT_REGION | docker login --username AWS --password-stdin $ECR_REPO
      - IMAGE_TAG=$(echo $CODEBUILD_RESOLVED_SOURCE_VERSION | cut -c 1-7)
  build:
    commands:
      - echo "Building the Docker image"
      - docker build -t $ECR_REPO:$IMAGE_TAG .
      - docker tag $ECR_REPO:$IMAGE_TAG $ECR_REPO:latest
  post_build:
    commands:
      - echo "Pushing the Docker image"
      - docker push $ECR_REPO:$IMAGE_TAG
      - docker push $ECR_REPO:latest
      - printf '[{"name":"app","imageUri":"%s"}]' $ECR_REPO:$IMAGE_TAG > imagedefinitions.json
artifacts:
  files:
    - imagedefinitions.json
"""
LOGIN = "aws ecr get-login-password | docker login --username AWS --password-stdin $REPOSITORY_URI"
BUILD = "docker build -t $REPOSITORY_URI:$TAG ."
PUSH = "docker push $REPOSITORY_URI:$TAG"
WRITE = """printf '{"ImageURI":"%s"}' $URI >imageDetail.json"""


def found(text, *, image=IMAGE, moving_tags=None):
    document = read_document(text, name="buildspec.yml")
    return list(check_image(document, image=image, moving_tags=moving_tags))


def spec(*commands, files=("imageDetail.json",), post_build=(), **artifacts):
    """A buildspec with these commands in build, and LOGIN, BUILD, PUSH and WRITE when there are none."""
    phases = {"build": {"commands": list(commands or (LOGIN, BUILD, PUSH, WRITE))}}
    if post_build:
        phases["post_build"] = {"commands": list(post_build)}
    return render({"version": "0.2", "phases": phases, "artifacts": {"files": list(files), **artifacts}})


def codes(text, **settings):
    return [(finding.code, finding.severity) for finding in found(text, **settings)]


def test_a_complete_buildspec_is_fine():
    assert codes(spec(), moving_tags=()) == []


def test_the_articles_buildspec_is_taken_and_its_smells_are_said():
    assert codes(ARTICLE) == [("BS704", "warning")]
    assert codes(ARTICLE, moving_tags=["cache-*"]) == [("BS705", "error"), ("BS704", "warning")]
    assert codes(ARTICLE, moving_tags=["latest"]) == [("BS704", "warning")]


@pytest.mark.parametrize(
    "push",
    [
        "docker push $REPOSITORY_URI:$TAG",
        "docker image push --quiet $REPOSITORY_URI:$TAG",
        "docker buildx build --push -t $REPOSITORY_URI:$TAG .",
        "docker buildx build \\\n  --tag $REPOSITORY_URI:$TAG \\\n  --push .",
        "docker buildx build -o type=registry -t $REPOSITORY_URI:$TAG .",
        "docker compose build --push",
        "docker-compose push",
        "docker buildx bake --push",
        "docker buildx imagetools create -t $REPOSITORY_URI:$TAG $OTHER",
        "podman push $REPOSITORY_URI:$TAG",
        "skopeo copy docker-archive:image.tar docker://$REPOSITORY_URI:$TAG",
        "crane push image.tar $REPOSITORY_URI:$TAG",
        "if [ $BRANCH = main ]; then docker push $REPOSITORY_URI:$TAG; fi",
    ],
)
def test_every_way_to_push_is_known(push):
    assert codes(spec(LOGIN, push, WRITE)) == []


def test_a_buildspec_that_pushes_nothing_is_an_error():
    [finding] = found(spec(LOGIN, BUILD, WRITE))
    assert (finding.code, finding.severity, finding.line) == ("BS701", "error", 3)
    assert "docker push" in finding.fix


@pytest.mark.parametrize(
    "login",
    [
        LOGIN,
        "aws ecr get-login-password --region $AWS_REGION | docker login -u AWS --password-stdin $REGISTRY",
        "aws ecr get-login-password | podman login --username AWS --password-stdin $REGISTRY",
        """echo '{"credsStore":"ecr-login"}' >~/.docker/config.json""",
        "aws ecr get-authorization-token --output text | cut -d: -f2 | docker login -u AWS --password-stdin $REGISTRY",
    ],
)
def test_every_way_to_log_in_is_known(login):
    assert codes(spec(login, BUILD, PUSH, WRITE)) == []


@pytest.mark.parametrize("other", [(), ("echo $HUB_TOKEN | docker login -u acme --password-stdin",)])
def test_a_buildspec_that_never_logs_in_to_ecr_is_an_error(other):
    assert codes(spec(*other, BUILD, PUSH, WRITE)) == [("BS702", "error")]


@pytest.mark.parametrize(
    "script",
    [
        "./ci/image.sh",
        "make image",
        "bash -e image.sh",
        "cd web && npm run image",
        "IMAGE=shop ./gradlew jib",
        ". ./lib.sh",
        "$CODEBUILD_SRC_DIR/ci/image.sh",
    ],
)
def test_what_a_script_may_do_is_a_warning_only(script):
    assert codes(spec(script)) == [("BS701", "warning"), ("BS702", "warning"), ("BS707", "warning")]


@pytest.mark.parametrize(
    "command", ["echo ./image.sh", "docker info", "cd web/", "aws s3 cp a/b s3://c/d", "export A=b/c"]
)
def test_what_is_no_script_excuses_nothing(command):
    assert [severity for _, severity in codes(spec(command))] == ["error"] * 3


def test_login_of_an_old_cli_is_refused_where_the_cli_is_new():
    old = spec("$(aws ecr get-login --no-include-email --region eu-west-1)", BUILD, PUSH, WRITE)
    assert codes(old) == [("BS706", "error")]
    assert codes(old, image="111122223333.dkr.ecr.eu-west-1.amazonaws.com/ci:1") == [("BS706", "warning")]


@pytest.mark.parametrize(
    ("files", "artifacts"),
    [
        (["imageDetail.json"], {}),
        (["imagedefinitions.json", "taskdef.json"], {}),
        (["./imageDetail.json"], {}),
        (["**/*"], {}),
        (["*.json"], {}),
        (["**/image*.json"], {}),
        (["$DEPLOY_FILE"], {}),
        (["imageDetail.json"], {"base-directory": "out"}),
        (["out/imageDetail.json"], {"discard-paths": "yes"}),
        (["out/**/*"], {"discard-paths": "yes"}),
        (["taskdef.json"], {"secondary-artifacts": {"image": {"files": ["imageDetail.json"]}}}),
    ],
)
def test_artifacts_with_the_file_at_their_root_are_fine(files, artifacts):
    assert codes(spec(files=files, **artifacts)) == []


@pytest.mark.parametrize("files", [["appspec.yaml"], ["out/**/*"], ["scripts/**", "page.json"], []])
def test_artifacts_without_the_file_are_an_error(files):
    [finding] = found(spec(files=files))
    assert (finding.code, finding.severity) == ("BS703", "error")
    assert "no deploy action learns of the image" in finding.problem


def test_a_task_definition_may_name_the_image_itself():
    assert codes(spec(LOGIN, BUILD, PUSH, files=["appspec.yaml", "taskdef.json"])) == [("BS703", "warning")]


@pytest.mark.parametrize(
    "name", ["imagedefinations.json", "imageDefinitions.json", "imagedetail.json", "imagedefinitions.jsoncd"]
)
def test_a_misspelt_file_is_an_error_that_names_the_right_one(name):
    [finding] = found(spec(LOGIN, BUILD, PUSH, f"echo >{name}", files=[name, "taskdef.json"]))
    assert (finding.code, finding.severity) == ("BS703", "error")
    assert "did you mean 'image" in finding.fix


def test_no_artifacts_at_all_are_an_error():
    text = render({"version": "0.2", "phases": {"build": {"commands": [LOGIN, BUILD, PUSH, WRITE]}}})
    assert codes(text) == [("BS703", "error")]


def test_a_file_in_a_folder_of_the_artifact_is_an_error_that_says_how_it_gets_to_the_root():
    [finding] = found(spec(files=["out/imageDetail.json"]))
    assert finding.code == "BS703"
    assert finding.fix == "write base-directory: out and files: - imageDetail.json"


def test_a_file_that_nothing_writes_is_an_error_unless_a_variable_names_it():
    assert codes(spec(LOGIN, BUILD, PUSH, files=["**/*"])) == [("BS707", "error")]
    assert codes(spec(LOGIN, BUILD, PUSH, "echo >$DEPLOY_FILE", files=["$DEPLOY_FILE"])) == []


@pytest.mark.parametrize(
    "push",
    [
        "docker push $REPOSITORY_URI:latest",
        'docker push "${REPOSITORY_URI}:latest"',
        "docker buildx build --push -t $REPOSITORY_URI:$TAG -t $REPOSITORY_URI:latest .",
        "docker buildx build --push --tag=$REPOSITORY_URI:latest .",
        "docker push $REPOSITORY_URI:$TAG && docker push $REPOSITORY_URI:latest",
    ],
)
def test_a_tag_that_cannot_move_is_refused_and_one_that_can_is_not(push):
    text = spec(LOGIN, BUILD, push, WRITE)
    [finding] = found(text, moving_tags=["cache-*"])
    assert (finding.code, finding.severity) == ("BS705", "error")
    assert "mutable_tags=['latest']" in finding.fix
    assert codes(text, moving_tags=["lat*"]) == []
    assert codes(text, moving_tags=None) == []


@pytest.mark.parametrize(
    "push",
    ["docker push $REPOSITORY_URI:$TAG", "docker push $REPOSITORY_URI:v$VERSION", "docker push localhost:5000/shop",
     "docker push $REPOSITORY_URI", "docker tag a $REPOSITORY_URI:latest; docker push $REPOSITORY_URI:$TAG"],
)  # fmt: skip
def test_tags_of_variables_are_not_judged(push):
    assert codes(spec(LOGIN, push, WRITE), moving_tags=()) == []


def test_a_tag_in_another_registry_is_not_this_repositorys_affair():
    text = spec(LOGIN, PUSH, "docker push acme/shop:latest", WRITE)
    assert codes(text, moving_tags=()) == [("BS705", "warning")]


def test_a_push_after_a_failed_build_is_a_smell_that_on_failure_or_a_check_cures():
    after = spec(LOGIN, BUILD, post_build=[PUSH, WRITE])
    assert codes(after) == [("BS704", "warning")]
    assert codes(after.replace("  build:\n", "  build:\n    on-failure: ABORT\n")) == []
    checked = spec(LOGIN, BUILD, post_build=['[ "$CODEBUILD_BUILD_SUCCEEDING" = 1 ]', PUSH, WRITE])
    assert codes(checked) == []


ANY_COMMAND = st.lists(
    st.sampled_from(
        [LOGIN, BUILD, PUSH, WRITE, "make", "docker", "push", "--push", "-t x:latest", "|", ";", "\\\n", "$("]
    )
    | st.text(max_size=20),
    max_size=6,
).map(" ".join)


@given(st.lists(ANY_COMMAND.filter(str.strip), min_size=1, max_size=4), st.lists(st.text(max_size=20), max_size=3))
def test_whatever_the_commands_are_the_checks_give_findings_of_known_codes(commands, files):
    text = render({"version": "0.2", "phases": {"build": {"commands": commands}}, "artifacts": {"files": files}})
    for finding in found(text, moving_tags=("latest",)):
        assert finding.code in {"BS701", "BS702", "BS703", "BS705", "BS706", "BS707"}
        assert finding.line >= 1
        assert finding.fix


@given(st.sampled_from(DEPLOY_FILES), st.sampled_from(["", "./", "**/"]), st.booleans())
def test_the_file_is_found_however_its_pattern_is_written(name, prefix, wild):
    pattern = prefix + (name.replace("image", "*") if wild else name)
    assert codes(spec(files=[pattern])) == []


def test_an_unreadable_buildspec_leads_to_no_findings_of_its_own():
    assert found("- a list") == []


def test_the_findings_have_the_lines_of_the_file():
    [finding] = found(ARTICLE)
    assert ARTICLE.splitlines()[finding.line - 1].strip() == "- docker push $ECR_REPO:$IMAGE_TAG"
    assert Buildspec.from_text(ARTICLE).findings == ()
