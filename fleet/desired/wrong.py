"""What ends the work on one value, and says where and why."""

from __future__ import annotations

from fleet.desired.jinja import Passing
from fleet.errors import Problem


class Wrong(Passing):
    """A value cannot be worked out. Carries the Problem, and whatever else was found in the same look."""

    def __init__(self, problem: Problem, *more: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.problems = (problem, *more)
