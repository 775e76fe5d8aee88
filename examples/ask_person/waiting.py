"""Questions that wait for a person."""

import asyncio
import collections
import dataclasses
import enum
import secrets

MAX_PER_CONTAINER = 20


class Full(Exception):
    """A container has more questions than anybody would read."""


class Decision(enum.Enum):
    ALLOW = "allow"
    REMEMBER = "remember"
    DENY = "deny"


@dataclasses.dataclass
class Question:
    container_id: str
    text: str
    answer: asyncio.Future[Decision]


class Waiting:
    """Of one event loop."""

    def __init__(self) -> None:
        self.questions: dict[str, Question] = {}

    async def ask(self, container_id: str, text: str) -> Decision:
        """Whoever gives up (time-out, the container hung up) takes the question away."""
        counts = collections.Counter(question.container_id for question in self.questions.values())
        if counts[container_id] >= MAX_PER_CONTAINER:
            raise Full
        number = secrets.token_hex(4)
        question = Question(container_id, text, asyncio.get_running_loop().create_future())
        self.questions[number] = question
        try:
            return await question.answer
        finally:
            del self.questions[number]

    def decide(self, number: str, decision: Decision) -> bool:
        """Whether anybody still waited for it."""
        question = self.questions.get(number)
        if question is None or question.answer.done():
            return False
        question.answer.set_result(decision)
        return True
