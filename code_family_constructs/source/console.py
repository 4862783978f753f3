"""Floor 1: where in the AWS console a person has to go on."""

from code_family_constructs.permissions import pseudo
from code_family_constructs.tokens import unresolved

_DOMAIN = "console.aws.amazon.com"
_DOMAINS = {"us-gov-": "console.amazonaws-us-gov.com", "cn-": "console.amazonaws.cn"}


def console_page(region: str, page: str) -> str:
    """Address of a page of the Developer Tools console.

    Args:
        region: Region of what it shows, or a token.
        page: Path below `codesuite/`.
    """
    if unresolved(region):
        region = pseudo().region
    domain = next((domain for start, domain in _DOMAINS.items() if region.startswith(start)), _DOMAIN)
    return f"https://{region}.{domain}/codesuite/{page}?region={region}"
