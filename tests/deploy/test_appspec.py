"""`Appspec`: real files pass, what goes wrong is said with line and fix, and what is rendered reads back."""

import shutil
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_family_constructs.deploy.appspec import (
    Appspec,
    AppspecFile,
    AppspecPermission,
    AppspecScript,
    AwsvpcConfiguration,
    CapacityProvider,
    Ec2Appspec,
    EcsAppspec,
    LambdaAppspec,
    SelinuxContext,
)
from code_family_constructs.documents import Finding
from code_family_constructs.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
FUNCTION = "arn:aws:lambda:eu-central-1:111122223333:function:check"
TASK = "arn:aws:ecs:eu-central-1:111122223333:task-definition/shop:7"

EC2 = """\
version: 0.0
os: linux
files:
  - source: /
    destination: /srv/shop
permissions:
  - object: /srv/shop
    owner: shop
    mode: 755
    type: [file]
hooks:
  ApplicationStop:
    - location: scripts/stop.sh
      timeout: 60
      runas: root
  AfterInstall:
    - location: scripts/migrate.sh
      timeout: 1800
    - location: scripts/warm.sh
  ValidateService:
    - location: scripts/check.sh
      timeout: 30
"""
ECS = f"""\
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: {TASK}
        LoadBalancerInfo:
          ContainerName: web
          ContainerPort: 8080
        PlatformVersion: LATEST
        NetworkConfiguration:
          AwsvpcConfiguration:
            Subnets: [subnet-1, subnet-2]
            SecurityGroups: [sg-1]
            AssignPublicIp: DISABLED
        CapacityProviderStrategy:
          - CapacityProvider: FARGATE
            Base: 1
            Weight: 1
          - CapacityProvider: FARGATE_SPOT
            Weight: 3
Hooks:
  - AfterAllowTestTraffic: {FUNCTION}
  - AfterAllowTraffic: check
"""
LAMBDA = """\
version: 0.0
Resources:
  - shop:
      Type: AWS::Lambda::Function
      Properties:
        Name: shop
        Alias: live
        CurrentVersion: 6
        TargetVersion: 7
Hooks:
  - BeforeAllowTraffic: before
  - AfterAllowTraffic: after
"""


def codes(findings: Sequence[Finding], severity: str | None = None) -> list[str]:
    return [one.code for one in findings if severity in (None, one.severity)]


def checked(text: str, old: str = "", new: str = "") -> tuple[Finding, ...]:
    assert old in text
    return Appspec.check_text(text.replace(old, new, 1) if old else text)


def only(findings: Sequence[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in ("stop.sh", "migrate.sh", "warm.sh", "check.sh"):
        (scripts / name).write_text("#!/bin/sh\n")
        (scripts / name).chmod(0o755)
    (tmp_path / "index.html").write_text("hello")
    (tmp_path / "appspec.yml").write_text(EC2)
    return tmp_path


class TestReads:
    def test_the_three_dialects_without_a_word(self):
        assert [codes(Appspec.check_text(text)) for text in (EC2, ECS, LAMBDA)] == [[], [], []]

    def test_ec2(self):
        assert Appspec.from_text(EC2) == Ec2Appspec(
            files=[AppspecFile(source="/", destination="/srv/shop")],
            permissions=[AppspecPermission(object="/srv/shop", owner="shop", mode="755", type=["file"])],
            hooks={
                "ApplicationStop": [AppspecScript(location="scripts/stop.sh", timeout=60, runas="root")],
                "AfterInstall": [
                    AppspecScript(location="scripts/migrate.sh", timeout=1800),
                    AppspecScript(location="scripts/warm.sh"),
                ],
                "ValidateService": [AppspecScript(location="scripts/check.sh", timeout=30)],
            },
        )

    def test_ecs(self):
        assert Appspec.from_text(ECS) == EcsAppspec(
            task_definition=TASK,
            container_name="web",
            container_port=8080,
            platform_version="LATEST",
            network=AwsvpcConfiguration(
                subnets=["subnet-1", "subnet-2"], security_groups=["sg-1"], assign_public_ip="DISABLED"
            ),
            capacity_providers=[
                CapacityProvider(name="FARGATE", base=1, weight=1),
                CapacityProvider(name="FARGATE_SPOT", weight=3),
            ],
            hooks={"AfterAllowTestTraffic": FUNCTION, "AfterAllowTraffic": "check"},
        )

    def test_lambda(self):
        assert Appspec.from_text(LAMBDA) == LambdaAppspec(
            function_name="shop",
            alias="live",
            current_version=6,
            target_version=7,
            hooks={"BeforeAllowTraffic": "before", "AfterAllowTraffic": "after"},
            name="shop",
        )

    def test_the_sample_application(self):
        spec = Appspec.from_file(ROOT / "sample_app/appspec.yml", ROOT / "sample_app")
        assert isinstance(spec, Ec2Appspec)
        assert spec.findings == ()
        assert spec.file_exists_behavior == "OVERWRITE"

    def test_json_indented_with_tabs(self):
        text = """{
\t"version": 0.0,
\t"Resources": [{"TargetService": {
\t\t"Type": "AWS::ECS::Service",
\t\t"Properties": {
\t\t\t"TaskDefinition": "<TASK_DEFINITION>",
\t\t\t"LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 80}
\t\t}
\t}}]
}"""
        assert Appspec.from_text(text) == EcsAppspec(container_name="web", container_port=80)
        assert Appspec.check_text(text) == ()

    def test_keys_in_the_small_letters_of_the_user_guide(self):
        small = LAMBDA
        for key in ("Resources", "Type", "Properties", "Name", "Alias", "CurrentVersion", "TargetVersion", "Hooks"):
            small = small.replace(f"{key}:", f"{key.lower()}:")
        assert Appspec.check_text(small) == ()
        assert Appspec.from_text(small) == Appspec.from_text(LAMBDA)

    def test_a_file_of_windows_with_its_line_ends(self):
        text = (
            "\ufeffversion: 0.0\r\nos: windows\r\nfiles:\r\n  - source: \\app\r\n"
            "    destination: C:\\inetpub\\wwwroot\r\nhooks:\r\n"
            "  BeforeInstall:\r\n    - location: \\before-install.ps1\r\n      timeout: 900\r\n"
        )
        assert Appspec.check_text(text) == ()

    @pytest.mark.parametrize(
        "value", ["<TASK>", "$TASK", "${task}", "{{task}}", "{{ task }}", "__TASK__", "%TASK%", "@@TASK@@", "#{task}#"]
    )
    def test_a_placeholder_stands_for_any_value(self, value: str):
        quoted = f"'{value}'"
        ecs = ECS
        for typed in (TASK, "web", "8080", "LATEST", "subnet-1", "[sg-1]", "DISABLED", "FARGATE_SPOT", "3", FUNCTION):
            ecs = ecs.replace(f" {typed}\n", f" {quoted}\n").replace(typed, quoted, 1)
        assert codes(Appspec.check_text(ecs), "error") == []
        shifted = LAMBDA.replace(" 6\n", f" {quoted}\n").replace(" 7\n", f" {quoted}\n").replace("live", quoted)
        assert codes(Appspec.check_text(shifted)) == []
        ec2 = EC2.replace("755", quoted).replace("1800", quoted).replace("linux", quoted).replace("/srv/shop", quoted)
        assert codes(Appspec.check_text(ec2), "error") == []

    def test_placeholders_that_are_no_yaml_before_they_are_filled_in(self):
        text = """\
{% if prod %}
version: 0.0
{% endif %}
Resources:
  - {{ name }}:
      Type: AWS::Lambda::Function
      Properties:
        Name: {{ name }}-{{ stage }}
        Alias: @alias@
        CurrentVersion: {{ current }}  # what runs
        TargetVersion: #{target}#
"""
        assert Appspec.from_text(text) == LambdaAppspec(
            name="{{ name }}",
            function_name="{{ name }}-{{ stage }}",
            alias="@alias@",
            current_version="{{ current }}",
            target_version="#{target}#",
        )
        json = '{"version": 0.0, "Resources": [{"s": {"Type": "AWS::ECS::Service", "Properties": {'
        json += '"TaskDefinition": ${arn}, "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": ${port}}}}}]}'
        assert Appspec.from_text(json) == EcsAppspec(
            name="s", task_definition="${arn}", container_name="web", container_port="${port}"
        )

    def test_a_file_of_another_platform_is_refused_by_name(self):
        with pytest.raises(ConfigurationError, match="give one for EC2 and on-premises"):
            Ec2Appspec.from_text(ECS)
        assert isinstance(EcsAppspec.from_text(ECS), EcsAppspec)

    def test_errors_raise_with_all_lines_and_warnings_stay(self):
        broken = EC2.replace("os: linux", "os: Linux").replace("AfterInstall", "AfterInstal")
        with pytest.raises(ConfigurationError, match=r"2 errors(.|\n)*yml:2: (.|\n)*yml:16: .*AfterInstall"):
            Appspec.from_text(broken)
        spec = Appspec.from_text(EC2.replace("timeout: 30", "timeout: 30s"))
        assert codes(spec.findings) == ["AS308"]
        assert isinstance(spec, Ec2Appspec)
        assert spec.hooks["ValidateService"][0].timeout == 30

    def test_a_missing_file_and_a_missing_folder(self, bundle: Path):
        with pytest.raises(ConfigurationError, match=r"appspec\.yml"):
            Appspec.from_file(bundle / "appsepc.yml")
        with pytest.raises(ConfigurationError, match="give the folder that is deployed"):
            Appspec.from_file(bundle / "appspec.yml", bundle / "dist")


class TestArticle:
    """The three files of the article that this project started from, read and written."""

    def test_ec2(self):
        event = ["ApplicationStop", "BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"]
        script = ["stop_server", "install_dependencies", "after_install", "start_server", "validate_service"]
        spec = Ec2Appspec(
            files=[AppspecFile(source="/", destination="/var/www/html")],
            permissions=[
                AppspecPermission(
                    object="/var/www/html", owner="apache", group="apache", mode="755", type=["directory"]
                )
            ],
            hooks={
                name: [AppspecScript(location=f"scripts/{file}.sh", timeout=120, runas="root")]
                for name, file in zip(event, script, strict=True)
            },
        )
        assert spec.findings == ()
        assert spec.render().startswith("version: 0.0\nos: linux\nfiles:\n  - source: /\n")
        assert "    mode: 755\n" in spec.render()
        assert Appspec.from_text(spec.render()) == spec

    def test_ecs(self):
        spec = EcsAppspec(
            task_definition=TASK, container_name="app", container_port=80, hooks={"AfterAllowTestTraffic": FUNCTION}
        )
        assert f"Hooks:\n  - AfterAllowTestTraffic: {FUNCTION}\n" in spec.render()
        assert Appspec.from_text(spec.render()) == spec

    def test_lambda(self):
        spec = LambdaAppspec(
            function_name="my-function",
            alias="live",
            current_version=1,
            target_version=2,
            hooks={"BeforeAllowTraffic": "before-hook", "AfterAllowTraffic": "after-hook"},
        )
        assert "CurrentVersion: '1'\n" in spec.render()
        assert Appspec.from_text(spec.render()) == spec


class TestPasses:
    """Shapes from public repositories that CodeDeploy takes."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("version: 0.0", "version: 0"),
            ("version: 0.0", "version: 0.00"),
            ("timeout: 60", "timeout: '60'"),
            ("timeout: 60", "timeout:"),
            ("runas: root", "runas:"),
            ("scripts/stop.sh", "./scripts/stop.sh"),
            ("mode: 755", "mode: '0755'"),
            ("mode: 755", "mode: 7"),
            (
                "    type: [file]",
                "    pattern: '*.sh'\n    except: [x]\n    acls: ['u:deploy:rwx', 'm::rx', 'deploy:7']",
            ),
            ("os: linux", "os: linux\nfile_exists_behavior: RETAIN"),
            ("os: linux", "os: linux\nfile_exists_behavior: DISALLOW|OVERWRITE|RETAIN"),
            ("hooks:", "hooks: # when\n"),
            ("/srv/shop", "/srv/shop/"),
        ],
    )
    def test_ec2(self, old: str, new: str):
        assert checked(EC2, old, new) == ()

    @pytest.mark.parametrize(
        ("old", "new", "code"),
        [
            ("    destination: /srv/shop", "    destination: /srv/shop\n    overwrite: yes", "AS203"),
            ("scripts/stop.sh", "/scripts/stop.sh", "AS305"),
            ("scripts/stop.sh", "scripts/stop.sh now", "AS305"),
            ("timeout: 60", "timeout: 1m", "AS308"),
            ("timeout: 1800", "timeout: 1800\n    - location: a.sh\n      timeout: 3000", "AS309"),
            ("runas: root", "sudo: true", "AS310"),
            ("runas: root", "commands: [chmod +x scripts/stop.sh]", "AS102"),
            ("mode: 755", "mode: 0644", "AS212"),
            ("owner: shop", "owner: 1000", "AS218"),
            ("destination: /srv/shop", "destination: srv/shop", "AS204"),
            ("source: /\n", "source: build/*.jar\n", "AS208"),
            ("  AfterInstall:", "  BeforeInstall:\n  AfterInstall:", "AS107"),
            ("os: linux", "os: linux\ndescription: the shop", "AS102"),
            ("- object: /srv/shop", "- object: /var/log/shop", "AS219"),
            ("os: linux", "os: linux\nResources: []", "AS108"),
        ],
    )
    def test_ec2_with_a_warning(self, old: str, new: str, code: str):
        findings = checked(EC2, old, new)
        assert codes(findings, "error") == []
        assert code in codes(findings)

    @pytest.mark.parametrize(
        ("text", "old", "new", "code"),
        [
            (ECS, "version: 0.0", "version: 1", "AS104"),
            (ECS, "version: 0.0\n", "", "AS104"),
            (ECS, "8080", "'8080'", "AS404"),
            (ECS, TASK, "shop:7", "AS403"),
            (ECS, TASK, TASK.removesuffix(":7"), "AS403"),
            (ECS, "LATEST", "1.4", "AS407"),
            (ECS, "AfterAllowTraffic: check", "AfterAllowTraffic: ''", "AS601"),
            (ECS, "- AfterAllowTraffic: check", "- AfterAllowTestTraffic: check", "AS602"),
            (ECS, "  - AfterAllowTraffic", "    AfterAllowTraffic", "AS602"),
            (ECS, "AfterAllowTraffic", "afterAllowTraffic", "AS103"),
            (ECS, "version: 0.0", "version: 0.0\nos: linux", "AS108"),
            (LAMBDA, "TargetVersion: 7", "TargetVersion: '6'", "AS502"),
            (LAMBDA, "Alias", "aLIAS", "AS103"),
        ],
    )
    def test_functions_with_a_warning(self, text: str, old: str, new: str, code: str):
        findings = checked(text, old, new)
        assert codes(findings) == [code]
        assert codes(findings, "error") == []

    def test_version_as_text_and_any_name_for_the_service(self):
        assert checked(ECS.replace("TargetService", "myApp"), "0.0", "'0.0'") == ()

    def test_json_with_a_comma_too_many(self):
        text = '{"version": 0.0, "Resources": [{"f": {"Type": "AWS::Lambda::Function", "Properties": {"Name": "f",'
        text += ' "Alias": "live", "CurrentVersion": "1", "TargetVersion": "2",}}}]}'
        assert codes(Appspec.check_text(text)) == ["AS109"]


class TestSaysNo:
    @pytest.mark.parametrize(
        ("old", "new", "line", "code", "fix"),
        [
            # The whole file.
            ("version: 0.0\n", "", 1, "AS104", "version: 0.0"),
            ("version: 0.0", "version: '0.0'", 1, "AS104", "without quotes"),
            ("version: 0.0", "version: 0.2", 1, "AS104", "version: 0.0"),
            ("version: 0.0", "version: 0.0.0", 1, "AS104", "version: 0.0"),
            ("os: linux\n", "", 1, "AS201", "os: linux"),
            ("os: linux", "os: ubuntu", 2, "AS201", "linux or windows"),
            ("os: linux", "os: Linux", 2, "AS201", "write linux"),
            ("hooks:", "hook:", 11, "AS102", "'hooks'"),
            ("hooks:", "Hooks:", 11, "AS103", "write hooks"),
            ("os: linux", "os: linux\nfile_exist_behavior: RETAIN", 3, "AS102", "'file_exists_behavior'"),
            ("os: linux", "os: linux\nfile_exists_behavior: overwrite", 3, "AS202", "OVERWRITE"),
            ("os: linux", "os: linux\nos: windows", 3, "DOC103", "join the two"),
            ("    destination", "\tdestination", 5, "DOC102", "indent with spaces"),
            # Files.
            ("  - source: /\n", "  - sources: /\n", 4, "AS102", "'source'"),
            ("destination: /srv/shop", "dest: /srv/shop", 4, "AS106", "/var/www/html"),
            ("destination: /srv/shop", "destination:", 5, "AS106", "/var/www/html"),
            ("  - source: /\n    destination", "    source: /\n    destination", 4, "AS105", "write a list"),
            ("source: /\n", "source: ../other\n", 4, "AS208", "inside of it"),
            ("source: /\n", "source: 404\n", 4, "AS105", "in quotes"),
            ("destination: /srv/shop", r"destination: C:\shop", 5, "AS204", "os: windows"),
            ("files:", "files:\n  - source: /\n    destination: /srv/shop", 6, "AS206", "remove one"),
            ("files:", "files:\n  - source: a/b.txt\n    destination: /srv/shop/a", 6, "AS206", "remove one"),
            # Permissions.
            ("- object: /srv/shop\n    owner", "- owner", 7, "AS106", "on the instance"),
            ("mode: 755", "mode: 0755", 9, "AS212", "octal digits"),
            ("mode: 755", "mode: u+x", 9, "AS212", "octal digits"),
            ("mode: 755", "mode: 888", 9, "AS212", "octal digits"),
            ("type: [file]", "type: file", 10, "AS105", "write a list"),
            ("type: [file]", "type: [folder]", 10, "AS216", "file or directory"),
            ("type: [file]", "except: private", 10, "AS105", "write a list"),
            ("type: [file]", "acls: {user: rwx}", 10, "AS105", "write a list"),
            ("type: [file]", "acls: ['u::rwx']", 10, "AS213", "as setfacl does"),
            ("type: [file]", "acls: ['x:deploy:rwx']", 10, "AS213", "as setfacl does"),
            ("type: [file]", "acls: ['u:deploy:all']", 10, "AS213", "as setfacl does"),
            ("type: [file]", "acls: [rwx]", 10, "AS213", "as setfacl does"),
            ("type: [file]", "context: {name: u, range: s0}", 10, "AS106", "SELinux type"),
            ("type: [file]", "context: {type: t, range: 5}", 10, "AS214", "s0-s1:c0.c5"),
            ("hooks:", "  - object: /srv/shop/\n    owner: x\nhooks:", 11, "AS217", "leave them out"),
            # Scripts.
            ("AfterInstall", "AfterInstal", 16, "AS301", "did you mean AfterInstall"),
            ("AfterInstall", "after_install", 16, "AS301", "did you mean AfterInstall"),
            ("AfterInstall", "AfterEverything", 16, "AS301", "use ApplicationStop"),
            ("AfterInstall", "Install", 16, "AS302", "use BeforeInstall or AfterInstall"),
            ("AfterInstall", "AfterAllowTestTraffic", 16, "AS302", "use ApplicationStop"),
            ("hooks:\n  ApplicationStop", "hooks:\nApplicationStop", 16, "DOC101", "align the line"),
            ("    - location: scripts/stop.sh", "      location: scripts/stop.sh", 13, "AS304", "with a dash"),
            ("location: scripts/stop.sh", "scripts/stop.sh", 14, "DOC101", "align the line"),
            ("- location: scripts/warm.sh", "- scripts/warm.sh", 19, "AS105", "- location:"),
            ("location: scripts/warm.sh", "run: scripts/warm.sh", 19, "AS102", "write `location:`"),
            ("location: scripts/warm.sh", "location: scripts/warm.sh\n      user: shop", 20, "AS102", "write `runas:`"),
            ("location: scripts/warm.sh", "location:", 19, "AS106", "path of the script"),
            ("scripts/warm.sh", "/home/ec2-user/warm.sh", 19, "AS305", "such as scripts/warm.sh"),
            ("scripts/warm.sh", "/srv/shop/warm.sh", 19, "AS305", "such as scripts/warm.sh"),
            ("scripts/warm.sh", "../warm.sh", 19, "AS305", "such as scripts/"),
            ("scripts/warm.sh", "scripts/", 19, "AS305", "name the script"),
            ("timeout: 60", "timeout: 3601", 14, "AS308", "from 1 to 3600"),
            ("timeout: 60", "timeout: soon", 14, "AS308", "from 1 to 3600"),
            ("timeout: 60", "timeout: 0", 14, "AS308", "from 1 to 3600"),
            ("timeout: 60", "timeout: -5", 14, "AS308", "from 1 to 3600"),
            ("runas: root", "run_as: root", 15, "AS102", "'runas'"),
        ],
    )
    def test_ec2(self, old: str, new: str, line: int, code: str, fix: str):
        errors = [one for one in checked(EC2, old, new) if one.severity == "error"]
        assert (line, code) in [(one.line, one.code) for one in errors], errors
        assert any(one.code == code and fix in one.fix for one in errors), errors

    def test_events_beside_hooks(self):
        text = (
            "version: 0.0\nos: linux\nhooks:\n  AfterInstall: [location: a.sh]\nApplicationStart:\n  - location: b.sh\n"
        )
        finding = only(Appspec.check_text(text))
        assert (finding.line, finding.code, finding.fix) == (5, "AS102", "indent it in hooks")

    def test_hooks_as_a_list(self):
        text = "version: 0.0\nos: linux\nhooks:\n  - AfterInstall: scripts/a.sh\n"
        assert "as a list below" in only(Appspec.check_text(text)).fix

    def test_windows(self):
        windows = EC2.replace("os: linux", "os: windows")
        by_code = {one.code: one for one in Appspec.check_text(windows)}
        assert by_code["AS211"].severity == "error"
        assert by_code["AS310"].severity == "warning"
        assert "names no drive" in by_code["AS204"].problem

    @pytest.mark.parametrize(
        ("text", "old", "new", "line", "code", "fix"),
        [
            (ECS, "Resources:\n  - ", "Resources:\n    ", 3, "AS401", "with a dash"),
            (ECS, "Resources:", "Resource:", 2, "AS102", "'Resources'"),
            (ECS, "      Type", "    Type", 5, "DOC101", "align the line"),
            (ECS, "AWS::ECS::Service", "AWS::ECS::TaskSet", 4, "AS402", "write AWS::ECS::Service"),
            (ECS, TASK, "arn:aws:iam::111122223333:role/x", 6, "AS403", "<TASK_DEFINITION>"),
            (ECS, TASK, "", 6, "AS106", "<TASK_DEFINITION>"),
            (ECS, "TaskDefinition", "TaskDefinitions", 6, "AS102", "'TaskDefinition'"),
            (ECS, "          ContainerName: web\n", "", 8, "AS106", "name of a container"),
            (ECS, "8080", "http", 9, "AS404", "1 to 65535"),
            (ECS, "8080", "80800", 9, "AS404", "1 to 65535"),
            (ECS, "          ContainerName", "          - ContainerName", 9, "DOC101", "align the line"),
            (ECS, "            SecurityGroups: [sg-1]\n", "", 13, "AS405", "write SecurityGroups"),
            (ECS, "[sg-1]", "sg-1", 14, "AS105", "write a list"),
            (ECS, "DISABLED", "false", 15, "AS405", "ENABLED or DISABLED"),
            (ECS, "Base: 1", "Base: many", 18, "AS406", "from 0 to 100000"),
            (ECS, "Weight: 3", "Base: 2", 17, "AS406", "leave one"),
            (ECS, "AfterAllowTraffic", "ValidateService", 24, "AS302", "use BeforeInstall"),
            (ECS, "AfterAllowTestTraffic", "AfterAllowTestTrafic", 23, "AS301", "AfterAllowTestTraffic"),
            (ECS, "AfterAllowTraffic: check", "AfterAllowTraffic: scripts/check.sh", 24, "AS601", "Lambda function"),
            (ECS, "AfterAllowTraffic: check", "AfterAllowTraffic: [check]", 24, "AS601", "Lambda function"),
            (LAMBDA, "CurrentVersion: 6", "CurrentVersion: $LATEST", 8, "AS501", "publish a version"),
            (LAMBDA, "CurrentVersion: 6", "CurrentVersion: 0", 8, "AS501", "publish a version"),
            (LAMBDA, "CurrentVersion: 6", "CurrentVersion: 1.0", 8, "AS501", "publish a version"),
            (LAMBDA, "        TargetVersion: 7\n", "", 6, "AS106", "published version"),
            (LAMBDA, "Alias: live", "Alias: 7", 7, "AS503", "name of an alias"),
            (LAMBDA, "AfterAllowTraffic", "AfterInstall", 12, "AS302", "use BeforeAllowTraffic"),
            (LAMBDA, "- BeforeAllowTraffic", "BeforeAllowTraffic", 12, "DOC101", "align the line"),
        ],
    )
    def test_functions(self, text: str, old: str, new: str, line: int, code: str, fix: str):
        errors = [one for one in checked(text, old, new) if one.severity == "error"]
        assert (line, code) in [(one.line, one.code) for one in errors], errors
        assert any(one.code == code and fix in one.fix for one in errors), errors

    def test_hooks_of_functions_as_keys(self):
        text = LAMBDA.replace("  - BeforeAllow", "  BeforeAllow").replace("  - AfterAllow", "  AfterAllow")
        finding = only(Appspec.check_text(text))
        assert (finding.line, finding.code) == (11, "AS304")
        assert "write a list" in finding.fix

    def test_two_resources(self):
        text = LAMBDA.replace("Hooks:", LAMBDA[LAMBDA.index("  - shop") : LAMBDA.index("Hooks")] + "Hooks:")
        assert "leave one" in only(Appspec.check_text(text)).fix

    def test_a_resource_that_lost_its_indentation(self):
        text = ECS.replace("      Type", "    Type").replace("      Properties", "    Properties")
        assert any("below the name of the resource" in one.fix for one in Appspec.check_text(text))

    @pytest.mark.parametrize(
        ("text", "fix"),
        [
            ("version: 0.2\nphases: {build: {commands: [make]}}\n", "buildspec.yml"),
            (
                "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  F:\n    Type: AWS::Lambda::Function\n",
                "as a stack",
            ),
            ("version: 0.0\nResources:\n  - app:\n      Type: AWS::EKS::Cluster\n", "AWS::ECS::Service"),
            ("version: 0.0\n", "os: linux"),
        ],
    )
    def test_no_appspec_at_all(self, text: str, fix: str):
        assert fix in only(Appspec.check_text(text)).fix
        with pytest.raises(ConfigurationError, match=fix):
            Appspec.from_text(text)

    @pytest.mark.parametrize("text", ["", "# nothing yet\n", "- a\n", "#!/bin/bash\nset -e\necho hello\n", "{"])
    def test_nothing_to_read(self, text: str):
        assert codes(Appspec.check_text(text), "error")

    def test_traffic_hooks_without_a_load_balancer(self, bundle: Path):
        file = bundle / "appspec.yml"
        file.write_text(EC2.replace("ValidateService", "BeforeBlockTraffic"))
        assert Appspec.check_file(file, load_balancer=True) == Appspec.check_file(file) == ()
        finding = only(Appspec.check_file(file, load_balancer=False))
        assert (finding.line, finding.code) == (20, "AS303")


class TestBundle:
    def test_all_there(self, bundle: Path):
        assert Appspec.from_file(bundle / "appspec.yml", bundle).findings == ()

    def test_a_script_that_is_missing(self, bundle: Path):
        (bundle / "scripts/warm.sh").rename(bundle / "scripts/warmup.sh")
        with pytest.raises(ConfigurationError, match=r"did you mean scripts/warmup\.sh"):
            Appspec.from_file(bundle / "appspec.yml", bundle)
        shutil.rmtree(bundle / "scripts")
        assert codes(Appspec.check_file(bundle / "appspec.yml", bundle)) == ["AS306"] * 4

    def test_a_script_in_another_letter_case(self, bundle: Path):
        (bundle / "scripts").rename(bundle / "Scripts")
        finding = Appspec.check_file(bundle / "appspec.yml", bundle)[0]
        assert (finding.code, finding.fix) == ("AS306", "did you mean Scripts/stop.sh?")

    def test_a_script_that_is_a_folder(self, bundle: Path):
        (bundle / "scripts/warm.sh").unlink()
        (bundle / "scripts/warm.sh").mkdir()
        assert only(Appspec.check_file(bundle / "appspec.yml", bundle)).fix == "name the script"

    def test_a_script_that_is_not_executable_or_comes_from_windows(self, bundle: Path):
        (bundle / "scripts/warm.sh").chmod(0o644)
        finding = only(Appspec.check_file(bundle / "appspec.yml", bundle))
        assert (finding.severity, finding.code) == ("warning", "AS307")
        assert "chmod +x scripts/warm.sh" in finding.fix
        (bundle / "scripts/warm.sh").write_bytes(b"#!/bin/sh\r\necho\r\n")
        (bundle / "scripts/warm.sh").chmod(0o755)
        assert "LF line ends" in only(Appspec.check_file(bundle / "appspec.yml", bundle)).fix

    def test_a_leading_slash_is_fine_when_the_script_is_there(self, bundle: Path):
        (bundle / "appspec.yml").write_text(EC2.replace("scripts/", "/scripts/"))
        assert Appspec.check_file(bundle / "appspec.yml", bundle) == ()

    def test_a_source_that_is_missing_may_be_built(self, bundle: Path):
        (bundle / "appspec.yml").write_text(EC2.replace("source: /\n", "source: target/shop.jar\n"))
        assert codes(Appspec.check_file(bundle / "appspec.yml", bundle), "warning") == ["AS207"]
        (bundle / "appspec.yml").write_text(EC2.replace("source: /\n", "source: Index.html\n"))
        assert "index.html" in only(Appspec.check_file(bundle / "appspec.yml", bundle)).fix

    def test_windows_does_not_tell_letter_cases(self, bundle: Path):
        text = "version: 0.0\nos: windows\nhooks:\n  AfterInstall:\n    - location: Scripts\\STOP.sh\n"
        (bundle / "appspec.yml").write_text(text)
        assert Appspec.check_file(bundle / "appspec.yml", bundle) == ()

    def test_one_file_copied_twice(self, bundle: Path):
        for entry, clashes in (
            ("index.html\n    destination: /srv/shop", True),
            ("scripts\n    destination: /srv/shop/scripts", True),
            ("scripts\n    destination: /srv/shop", False),
            ("index.html\n    destination: /srv/other", False),
            ("index.html\n    destination: /srv/shop/scripts", False),
            ("index.html\n    destination: /srv/shop/index.html", True),
        ):
            (bundle / "appspec.yml").write_text(EC2.replace("permissions:", f"  - source: {entry}\npermissions:"))
            found = codes(Appspec.check_file(bundle / "appspec.yml", bundle), "error")
            assert found == (["AS206"] if clashes else []), entry

    def test_a_destination_that_names_the_file(self, bundle: Path):
        text = EC2.replace("source: /\n", "source: index.html\n").replace("/srv/shop\n", "/srv/shop/index.html\n", 1)
        (bundle / "appspec.yml").write_text(text)
        finding = Appspec.check_file(bundle / "appspec.yml", bundle)[0]
        assert (finding.code, finding.fix) == ("AS205", "write the folder, /srv/shop")

    def test_a_pattern_for_a_single_file(self, bundle: Path):
        text = EC2.replace("source: /\n", "source: index.html\n").replace(
            "object: /srv/shop", "object: /srv/shop/index.html"
        )
        (bundle / "appspec.yml").write_text(text.replace("type: [file]", "pattern: '*.html'"))
        assert only(Appspec.check_file(bundle / "appspec.yml", bundle)).code == "AS215"

    def test_where_the_agent_looks(self, bundle: Path):
        other = bundle / "deploy.yml"
        other.write_text(EC2)
        assert "unless the deployment names it" in only(Appspec.check_file(other)).problem
        assert codes(Appspec.check_file(bundle / "appspec.yml", bundle / "scripts"))[-1] == "AS110"


class TestBuilds:
    def test_what_codedeploy_would_refuse_is_refused_when_it_is_built(self):
        with pytest.raises(ConfigurationError, match="did you mean BeforeInstall"):
            Ec2Appspec(hooks={"BeforInstall": [AppspecScript(location="a.sh")]})
        with pytest.raises(ConfigurationError, match="from 1 to 3600"):
            Ec2Appspec(hooks={"BeforeInstall": [AppspecScript(location="a.sh", timeout=7200)]})
        with pytest.raises(ConfigurationError, match="1 to 65535"):
            EcsAppspec(container_name="web", container_port=0)
        with pytest.raises(ConfigurationError, match="publish a version"):
            LambdaAppspec(function_name="f", alias="live", current_version="$LATEST", target_version=2)

    def test_warnings_stay(self):
        spec = LambdaAppspec(function_name="f", alias="live", current_version=2, target_version=2)
        assert codes(spec.findings) == ["AS502"]

    def test_a_mode_with_a_zero_in_front_is_quoted(self):
        spec = Ec2Appspec(
            files=[AppspecFile(source="/", destination="/srv")],
            permissions=[AppspecPermission(object="/srv", mode="0640")],
        )
        assert "mode: '0640'" in spec.render()
        assert Appspec.from_text(spec.render()) == spec


TRICKY = [
    "yes",
    "no",
    "null",
    "~x",
    "1e3",
    "0755",
    "1_000",
    "12:30",
    "a: b",
    "a #b",
    "- a",
    "*.sh",
    "&x",
    "!x",
    "{x",
    "[x",
]
WORDS = st.one_of(
    st.text(alphabet=string.ascii_letters + string.digits + "_.- :#'\"{}[]&*!|>%@äß日", min_size=1, max_size=12).map(
        lambda text: f"w{text}w"
    ),
    st.sampled_from(TRICKY).filter(lambda text: not text.startswith("~")),
)
NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,15}", fullmatch=True)
OPTIONAL_WORDS = st.none() | WORDS
SCRIPTS = st.builds(
    AppspecScript,
    location=WORDS.map(lambda word: f"scripts/{word}"),
    timeout=st.none() | st.integers(1, 3600),
    runas=OPTIONAL_WORDS,
)
PERMISSIONS = st.builds(
    AppspecPermission,
    object=WORDS.map(lambda word: f"/srv/{word}"),
    pattern=OPTIONAL_WORDS,
    exceptions=st.lists(WORDS, max_size=2),
    owner=OPTIONAL_WORDS,
    group=OPTIONAL_WORDS,
    mode=st.none() | st.from_regex(r"[0-7]{1,4}", fullmatch=True),
    acls=st.lists(st.sampled_from(["u:deploy:rwx", "d:g:ops:r-x", "m::7", "deploy:5"]), max_size=2),
    context=st.none()
    | st.builds(SelinuxContext, type=WORDS, name=OPTIONAL_WORDS, range=st.none() | st.just("s0-s1:c0.c5")),
    type=st.lists(st.sampled_from(["file", "directory"]), unique=True),
)
HOOKS = st.sampled_from(["ApplicationStop", "BeforeInstall", "AfterInstall", "ValidateService", "AfterAllowTraffic"])


@st.composite
def ec2_appspecs(draw: st.DrawFn) -> Ec2Appspec:
    sources = draw(st.lists(WORDS, max_size=3))
    permissions = draw(st.lists(PERMISSIONS, max_size=2, unique_by=lambda one: one.object))
    return Ec2Appspec(
        files=[AppspecFile(source=one, destination=f"/opt/{index}") for index, one in enumerate(sources)],
        file_exists_behavior=draw(st.sampled_from([None, "DISALLOW", "OVERWRITE", "RETAIN"])),
        permissions=permissions,
        hooks=draw(st.dictionaries(HOOKS, st.lists(SCRIPTS, max_size=3), max_size=3)),
    )


ECS_APPSPECS = st.builds(
    EcsAppspec,
    task_definition=st.sampled_from([TASK, "<TASK_DEFINITION>", "${ARN}"]),
    container_name=WORDS,
    container_port=st.integers(1, 65535),
    platform_version=st.sampled_from([None, "LATEST", "1.4.0"]),
    network=st.none()
    | st.builds(
        AwsvpcConfiguration,
        subnets=st.lists(WORDS, min_size=1, max_size=3),
        security_groups=st.lists(WORDS, min_size=1, max_size=3),
        assign_public_ip=st.sampled_from(["ENABLED", "DISABLED"]),
    ),
    capacity_providers=st.lists(st.builds(CapacityProvider, name=WORDS, weight=st.integers(1, 9)), max_size=2),
    hooks=st.dictionaries(st.sampled_from(["BeforeInstall", "AfterAllowTestTraffic", "AfterAllowTraffic"]), NAMES),
    name=NAMES.filter(lambda name: name.lower() not in ("type", "properties")),
)
LAMBDA_APPSPECS = st.builds(
    LambdaAppspec,
    function_name=WORDS,
    alias=NAMES,
    current_version=st.integers(1, 10**6),
    target_version=st.integers(1, 10**6),
    hooks=st.dictionaries(st.sampled_from(["BeforeAllowTraffic", "AfterAllowTraffic"]), NAMES | st.just(FUNCTION)),
    name=NAMES.filter(lambda name: name.lower() not in ("type", "properties")),
)


@settings(deadline=None, max_examples=60)
@given(spec=st.one_of(ec2_appspecs(), ECS_APPSPECS, LAMBDA_APPSPECS))
def test_what_the_model_renders_it_reads_back(spec: Appspec):
    text = spec.render()
    again = Appspec.from_text(text)
    assert again == spec
    assert codes(again.findings, "error") == []
    assert again.render() == text


LINES = st.sampled_from([*EC2.splitlines(), *ECS.splitlines(), *LAMBDA.splitlines()])
VALUES = st.sampled_from(
    ["", "[]", "{}", "[[a]]", "{a: {b: c}}", "~", "''", "-1", "1.5", "yes", "*x", "<A>", "|", "[~]", "#"]
)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_whatever_stands_there_is_a_finding_and_no_other_exception(data: st.DataObject):
    lines = data.draw(st.sampled_from([EC2, ECS, LAMBDA])).splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        value = lines[at].split(":")[0] + ": " + data.draw(VALUES)
        lines[at] = data.draw(st.sampled_from([value, f"  {lines[at]}", lines[at].replace("- ", "", 1), ""]) | LINES)
    text = "\n".join(lines)
    if codes(Appspec.check_text(text), "error"):
        with pytest.raises(ConfigurationError):
            Appspec.from_text(text)
    else:
        spec = Appspec.from_text(text)
        assert Appspec.from_text(spec.render()) == spec


def keys_of(text: str) -> list[str]:
    words = [line.strip().removeprefix("- ").split(":")[0] for line in text.splitlines()]
    return sorted({word for word in words if word not in ("TargetService", "shop")})


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_misspelling_of_a_key_or_hook_is_said(data: st.DataObject):
    text = data.draw(st.sampled_from([EC2, ECS, LAMBDA]))
    key = data.draw(st.sampled_from(keys_of(text)))
    at = data.draw(st.integers(0, len(key) - 1))
    wrong: str = data.draw(
        st.sampled_from(
            [
                key[:at] + key[at + 1 :],
                key[:at] + key[at] + key[at:],
                key[:at] + "q" + key[at + 1 :],
                key[: at - 1] + key[at] + key[at - 1] + key[at + 1 :] if at else key + "s",
            ]
        )
    )
    if wrong in ("", key):
        return
    findings: Any = Appspec.check_text(text.replace(f"{key}:", f"{wrong}:"))
    assert findings
    assert any(wrong in one.problem or key in one.problem or key in one.fix for one in findings)
