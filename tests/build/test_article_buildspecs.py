"""The five kinds of buildspecs of the article, written both ways: as YAML and in Python, equal, and run here."""

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_codebuild as codebuild

from code_family_constructs import BuildHost, BuildProject, Buildspec
from code_family_constructs.build.buildspec import Artifacts, Cache, Env, Phase, Phases, Report, SecondaryArtifact
from code_family_constructs.testing import synthesized
from tests.helpers import allowed, of_type

BASE = """
version: 0.2

env:
  variables:
    ENVIRONMENT: "dev"

phases:
  install:
    runtime-versions:
      python: 3.12
    commands:
      - pip install -r requirements.txt
  pre_build:
    commands:
      - python -m unittest discover -v
    finally:
      - echo "tests are over"
  build:
    commands:
      - python app.py
  post_build:
    commands:
      - echo "built"

artifacts:
  files:
    - '**/*'

cache:
  paths:
    - '/root/.cache/pip/**/*'
"""
BASE_IN_PYTHON = Buildspec(
    env=Env(variables={"ENVIRONMENT": "dev"}),
    phases=Phases(
        install=Phase(runtime_versions={"python": "3.12"}, commands=["pip install -r requirements.txt"]),
        pre_build=Phase(commands=["python -m unittest discover -v"], finally_=['echo "tests are over"']),
        build=Phase(commands=["python app.py"]),
        post_build=Phase(commands=['echo "built"']),
    ),
    artifacts=Artifacts(files=["**/*"]),
    cache=Cache(paths=["/root/.cache/pip/**/*"]),
)

SECRETS = """
version: 0.2

env:
  variables:
    ENVIRONMENT: "production"
  parameter-store:
    API_ENDPOINT: "/app/prod/api-endpoint"
  secrets-manager:
    DB_PASSWORD: "prod/db:password"
  exported-variables:
    - IMAGE_TAG
    - BUILD_VERSION

phases:
  build:
    commands:
      - ./migrate.sh "$API_ENDPOINT"
      - export IMAGE_TAG=1 BUILD_VERSION=2
"""
SECRETS_IN_PYTHON = Buildspec(
    env=Env(
        variables={"ENVIRONMENT": "production"},
        parameter_store={"API_ENDPOINT": "/app/prod/api-endpoint"},
        secrets_manager={"DB_PASSWORD": "prod/db:password"},
        exported_variables=["IMAGE_TAG", "BUILD_VERSION"],
    ),
    phases=Phases(build=Phase(commands=['./migrate.sh "$API_ENDPOINT"', "export IMAGE_TAG=1 BUILD_VERSION=2"])),
)

DOCKER = """
version: 0.2

phases:
  pre_build:
    commands:
      - aws ecr get-login-password | docker login --username AWS --password-stdin $ECR_REPO
      - IMAGE_TAG=$(echo $CODEBUILD_RESOLVED_SOURCE_VERSION | cut -c 1-7)
  build:
    commands:
      - docker build -t $ECR_REPO:$IMAGE_TAG .
  post_build:
    commands:
      - docker push $ECR_REPO:$IMAGE_TAG
      - printf '[{"name":"app","imageUri":"%s"}]' $ECR_REPO:$IMAGE_TAG > imagedefinitions.json

artifacts:
  files:
    - imagedefinitions.json
"""
DOCKER_IN_PYTHON = Buildspec(
    phases=Phases(
        pre_build=Phase(
            commands=[
                "aws ecr get-login-password | docker login --username AWS --password-stdin $ECR_REPO",
                "IMAGE_TAG=$(echo $CODEBUILD_RESOLVED_SOURCE_VERSION | cut -c 1-7)",
            ]
        ),
        build=Phase(commands=["docker build -t $ECR_REPO:$IMAGE_TAG ."]),
        post_build=Phase(
            commands=[
                "docker push $ECR_REPO:$IMAGE_TAG",
                """printf '[{"name":"app","imageUri":"%s"}]' $ECR_REPO:$IMAGE_TAG > imagedefinitions.json""",
            ]
        ),
    ),
    artifacts=Artifacts(files=["imagedefinitions.json"]),
)

REPORTS = """
version: 0.2

phases:
  build:
    commands:
      - pytest --junitxml reports/test-results.xml

reports:
  pytest-reports:
    files:
      - 'test-results.xml'
    base-directory: 'reports'
    file-format: JUNITXML
"""
REPORTS_IN_PYTHON = Buildspec(
    phases=Phases(build=Phase(commands=["pytest --junitxml reports/test-results.xml"])),
    reports={
        "pytest-reports": Report(files=["test-results.xml"], base_directory="reports", file_format="JUNITXML"),
    },
)

TWO_ARTIFACTS = """
version: 0.2

phases:
  build:
    commands:
      - ./build.sh "$CODEBUILD_SRC_DIR" "$CODEBUILD_SRC_DIR_infra"

artifacts:
  files:
    - '**/*'
  secondary-artifacts:
    app-artifact:
      files:
        - '**/*'
      base-directory: dist
    cfn-artifact:
      files:
        - '**/*'
      base-directory: infra
"""
TWO_ARTIFACTS_IN_PYTHON = Buildspec(
    phases=Phases(build=Phase(commands=['./build.sh "$CODEBUILD_SRC_DIR" "$CODEBUILD_SRC_DIR_infra"'])),
    artifacts=Artifacts(
        files=["**/*"],
        secondary_artifacts={
            "app-artifact": SecondaryArtifact(files=["**/*"], base_directory="dist"),
            "cfn-artifact": SecondaryArtifact(files=["**/*"], base_directory="infra"),
        },
    ),
)

BOTH_WAYS = {
    "base structure": (BASE, BASE_IN_PYTHON),
    "secrets": (SECRETS, SECRETS_IN_PYTHON),
    "Docker to ECR": (DOCKER, DOCKER_IN_PYTHON),
    "reports": (REPORTS, REPORTS_IN_PYTHON),
    "secondary artifacts": (TWO_ARTIFACTS, TWO_ARTIFACTS_IN_PYTHON),
}
HOST = BuildHost(
    image="aws/codebuild/amazonlinux-x86_64-standard:6.0", environment_type="LINUX_CONTAINER", privileged=True
)


@pytest.fixture(params=BOTH_WAYS)
def both(request):
    return BOTH_WAYS[request.param]


def test_both_ways_say_the_same(both):
    text, spec = both
    assert Buildspec.from_text(text) == spec
    assert Buildspec.from_text(spec.render()) == spec


def test_nothing_is_to_be_said_about_either(both):
    text, spec = both
    assert Buildspec.check(text, host=HOST) == ()
    assert spec.findings_on(HOST) == ()


@pytest.fixture(scope="module")
def template():
    stack = Stack(App(), "Article")
    BuildProject(stack, "Base", buildspec=BASE_IN_PYTHON)
    BuildProject(stack, "Secrets", buildspec=SECRETS_IN_PYTHON)
    BuildProject(stack, "Docker", buildspec=DOCKER_IN_PYTHON, privileged=True)
    BuildProject(
        stack,
        "Reports",
        buildspec=REPORTS_IN_PYTHON,
        report_groups={"pytest-reports": codebuild.ReportGroupType.TEST},
    )
    BuildProject(stack, "Two", buildspec=TWO_ARTIFACTS_IN_PYTHON)
    return synthesized(stack)


def test_each_runs_in_a_project(template):
    projects = of_type(template, "AWS::CodeBuild::Project").values()
    specs = [Buildspec.from_text(project["Source"]["BuildSpec"]) for project in projects]
    assert specs == [spec for _, spec in BOTH_WAYS.values()]


def test_a_build_may_read_the_secrets_that_its_buildspec_names(template):
    read = {entry.partition(" on ")[0] for entry in allowed(template, "SecretsRolePolicy")}
    assert {"ssm:GetParameters", "secretsmanager:GetSecretValue"} <= read


def test_the_article_forgets_the_files_beside_secondary_artifacts():
    text = TWO_ARTIFACTS.replace("  files:\n    - '**/*'\n  secondary", "  secondary")
    assert text != TWO_ARTIFACTS
    [finding] = Buildspec.check(text)
    assert (finding.code, finding.severity) == ("BS411", "warning")
