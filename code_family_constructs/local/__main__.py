"""`python -m code_family_constructs.local`: the endpoint for an app of your own, or the demonstration."""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence

from code_family_constructs.local.server import Endpoint, EndpointError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        endpoint = Endpoint(host=options.host, port=options.port, account=options.account, region=options.region)
    except EndpointError as error:
        print(error, file=sys.stderr)
        return 2
    for number in _SIGNALS:
        signal.signal(number, _stop)
    try:
        if options.command == "demo":
            from code_family_constructs.local import demo

            return demo.run(endpoint, app=options.app, stack=options.stack, change=options.change)
        return _serve(endpoint)
    except EndpointError as error:
        print(error, file=sys.stderr)
        return 1
    except _Stopped as stopped:
        # A server that is told to stop has done its job; a demonstration has not.
        return 128 + stopped.number if options.command == "demo" else 0


_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class _Stopped(BaseException):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, _: object) -> None:
    # Whoever presses Ctrl-C twice must not interrupt the ending of the processes.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise _Stopped(number)


def _serve(endpoint: Endpoint) -> int:
    with endpoint:
        print(f"# An AWS endpoint for account {endpoint.account} in {endpoint.region}. Paste this into another shell:")
        for name, value in endpoint.environment.items():
            print(f"export {name}={shlex.quote(value)}")
        print("unset AWS_PROFILE AWS_SESSION_TOKEN")
        print(f"# Then: cdk bootstrap aws://{endpoint.account}/{endpoint.region} && cdk deploy")
        print("# It has every other account and region as well, for stacks with env= of theirs.")
        print("# Ctrl-C ends it, and with it all that was deployed.", flush=True)
        endpoint.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m code_family_constructs.local",
        description="An AWS endpoint on loopback that the CDK CLI, the AWS CLI and boto3 can use without an account.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--account", type=_account, default="123456789012", help="default: %(default)s")
    parser.add_argument("--region", default=os.environ.get("AWS_REGION", "us-east-1"), help="default: %(default)s")
    commands = parser.add_subparsers(dest="command")
    demo = commands.add_parser(
        "demo",
        help="bootstrap, deploy, change and destroy a stack with the CDK CLI, and show what it made",
        description="Bootstraps, deploys, changes and destroys a stack with the CDK CLI, and shows what it made.",
    )
    demo.add_argument("--app", help="as for the CDK CLI, a command or a cdk.out directory (default: that of cdk.json)")
    demo.add_argument("--stack", help="which stack (default: the only one)")
    demo.add_argument("--change", metavar="KEY=VALUE", type=_change, help="context of a second deployment")
    return parser


def _account(value: str) -> str:
    if len(value) == 12 and value.isdigit():
        return value
    raise argparse.ArgumentTypeError(f"an account has 12 digits, got {value!r}")


def _change(value: str) -> str:
    if value.partition("=")[0] and "=" in value:
        return value
    raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {value!r}")


if __name__ == "__main__":
    sys.exit(main())
