"""Requests in flight share the predictor: what has come while one batch ran makes up the next, so nobody waits for company."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from newsserve.predictor import Answer


class BusyError(RuntimeError):
    """More texts are waiting than may."""


class Batcher:
    """`await batcher.answer(texts)`: the answers of `predict(texts)`, run in a thread together with the texts of other callers.

    Args:
        predict: texts in, answers out.
        size: texts taken into a batch (a single request may be larger).
        waiting: texts that may wait; more raise BusyError.
        watch: called with the number of texts of each batch.
    """

    def __init__(
        self,
        predict: Callable[[list[str]], list[Answer]],
        size: int = 32,
        waiting: int = 512,
        watch: Callable[[int], None] = bool,
    ):
        self.predict, self.size, self.limit, self.watch = predict, size, waiting, watch
        self.queue: deque[tuple[list[str], asyncio.Future]] = deque()
        self.waiting = 0
        self.task: asyncio.Task | None = None

    async def answer(self, texts: list[str]) -> list[Answer]:
        """One answer a text, in order.

        Raises:
            BusyError: too many texts are waiting.
        """
        if self.waiting and self.waiting + len(texts) > self.limit:
            raise BusyError(f"{self.waiting} texts are waiting")
        future = asyncio.get_running_loop().create_future()
        self.queue.append((texts, future))
        self.waiting += len(texts)
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self.queue:
            batch = [self.queue.popleft()]
            while (
                self.queue
                and sum(len(texts) for texts, _ in batch) + len(self.queue[0][0]) <= self.size
            ):
                batch.append(self.queue.popleft())
            self.waiting -= sum(len(texts) for texts, _ in batch)
            wanted = [
                (texts, future) for texts, future in batch if not future.cancelled()
            ]  # a caller that has gone is not worked for
            texts = [text for mine, _ in wanted for text in mine]
            self.watch(len(texts))
            try:
                answers = iter(await asyncio.to_thread(self.predict, texts))
            except Exception as error:
                for _, future in wanted:
                    with contextlib.suppress(asyncio.InvalidStateError):
                        future.set_exception(error)
                continue
            for mine, future in wanted:
                theirs = [next(answers) for _ in mine]
                if not future.done():
                    future.set_result(theirs)
