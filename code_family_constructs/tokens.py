"""Floor 0: is a value known at synth time?"""

from aws_cdk import Token


def unresolved(value: object) -> bool:
    """Whether a value is only known when the stack is deployed, so that no check can be made of it.

    A text is looked at here: asking Node, as `Token.is_unresolved` does, is a round trip for each of them.
    """
    return "${Token[" in value if isinstance(value, str) else bool(Token.is_unresolved(value))
