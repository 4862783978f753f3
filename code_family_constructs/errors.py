"""Floor 0: the one exception, raised at synth time for what AWS would refuse or what would break later."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # catching an error should not start Node
    from constructs import IConstruct


class ConfigurationError(ValueError):
    """Says what is wrong in the words and values that the user typed, where, and what to do about it.

    Args:
        problem: What is wrong, with the value that was given; lower case, no full stop.
        at: The construct it concerns, or its path; for values that belong to no construct yet, their name.
        fix: What to type instead.
    """

    def __init__(self, problem: str, *, at: "IConstruct | str", fix: str) -> None:
        self.problem = problem
        self.path = at if isinstance(at, str) else at.node.path
        self.fix = fix
        super().__init__(f"{problem}\n  at   {self.path}\n  fix  {fix}")
