"""An AWS endpoint on loopback for trying stacks without an account.

It proves templates, wiring and API shapes; it does not prove that AWS accepts them, and it checks no IAM permission.
"""

from code_family_constructs.local.server import Endpoint, EndpointError

__all__ = ["Endpoint", "EndpointError"]
