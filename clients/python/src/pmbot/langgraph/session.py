"""One claimed run, from its claim to its end: invoke, ask, wait, resume.

This is the rule for a checkpointer that the server does not see: questions are raised from the stored state after
`invoke` has returned, an answer is sent only for a question that the state still shows, and a decision is acknowledged
once the state does not show its question any more. It holds for crashes at any point: the first invoke after a claim
carries no answer, because the answer may be stored already and would then reach the next question of the same task.
That invoke also mends what a crash left half done, such as a subgraph that went on while its parent's state was lost;
so the state is never trusted before an invoke of this session has returned.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command, StateSnapshot

from pmbot.channel import with_request_id
from pmbot.client import Client
from pmbot.errors import BudgetExceeded, InvalidArgument, LeaseLost, NotFound, PmbotError, Unavailable, WrongState
from pmbot.langgraph.context import RunContext
from pmbot.langgraph.lease import Ending, Lease
from pmbot.langgraph.questions import Asked, pending_questions, to_answer, to_question
from pmbot.langgraph.slots import Slots
from pmbot.langgraph.spec import RUN_KEY, BadSpec, plan_of
from pmbot.v1 import approval_pb2, interrupt_pb2, run_pb2

_log = logging.getLogger("pmbot.worker")

QUESTIONS = 100
"""How many questions a run may stop at at once; the contract's limit."""
REASON_BYTES = 4096
"""How long the reason of a failure may be; the contract's limit."""
THREAD_IN_USE_SECONDS = 5.0
"""How long a run whose thread is taken by another run is kept before it goes back into the queue."""

_REASONS = {Ending.CANCELLED: "a cancel was asked for", Ending.OVER_BUDGET: "the run is over its budget"}


class _Stopped(Exception):
    """Work must stop: `Lease.ending` says why."""


class _Failed(Exception):
    """The run failed, with the reason for people."""

    def __init__(self, reason: str, retryable: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable


class RunSession:
    """Carries one claimed run out.

    Args:
        client: the worker's client.
        graph: the compiled graph, with its checkpointer.
        claimed: the run with its lease.
        slots: where to take a place before the graph runs, and to leave it while a person is waited for.
    """

    def __init__(self, client: Client, graph: Any, claimed: run_pb2.ClaimedRun, slots: Slots) -> None:
        self.run = claimed.run
        duration = claimed.lease_duration
        self.lease = Lease(client, claimed.run.run_id, claimed.lease_token, duration.seconds + duration.nanos / 1e9)
        self._client = client
        self._graph = graph
        self._slots = slots
        self._resumed_with: tuple[set[tuple[str, str]], set[str]] | None = None

    def carry_out(self) -> None:
        """Runs until the run has ended, failed, or been let go. Raises nothing: what happens is logged and reported."""
        run_id = self.run.run_id
        with self.lease:
            try:
                self._carry_out()
            except (LeaseLost, NotFound) as error:
                self.lease.end(Ending.LOST)
                _log.warning("%s: abandoned, its lease is lost: %s", run_id, error)
            except PmbotError as error:
                # The lease ends by itself, and another worker goes on from the last checkpoint.
                _log.error("%s: abandoned: %s", run_id, error)

    def _carry_out(self) -> None:
        try:
            with self._slots.taken(self.lease):
                self._work()
        except (_Stopped, BudgetExceeded):
            self._let_go()
        except _Failed as failure:
            self._fail(failure.reason, failure.retryable)
        except PmbotError:
            raise
        except Exception as error:  # the checkpointer's, most likely
            _log.exception("%s: failed outside the graph", self.run.run_id)
            self._fail(f"{type(error).__name__}: {error}", retryable=True)

    def _work(self) -> None:
        self._heed(self.run)
        self._stop_if_told()
        try:
            self._plan = plan_of(self.run)
            problem = ""
        except BadSpec as error:
            # Still started first: only a run that was started can fail.
            problem = str(error)
        self._start(self.run.thread_id or self.run.run_id)
        if problem:
            raise _Failed(problem, retryable=False)
        # With a checkpoint of its own the run was begun before, and None goes on with it. A graph that has finished is
        # invoked too, which does nothing: `next` is also empty after a crash between a step's last write and the
        # checkpoint behind it, so that the state alone cannot tell.
        begun = (self._state().metadata or {}).get(RUN_KEY) == self.run.run_id
        asked = self._invoke(None if begun else self._plan.input)
        while asked:
            asked = self._invoke(self._answers(asked))
        self._complete()

    def _start(self, thread_id: str) -> None:
        request = run_pb2.StartRunRequest(run_id=self.run.run_id, lease_token=self.lease.token, thread_id=thread_id)
        try:
            self.run = self._call(self._client.runs.StartRun, request).run
            self._heed(self.run)
        except WrongState as error:
            if error.reason == "THREAD_IN_USE":
                _log.info("%s: put back: %s", self.run.run_id, error)
                self.lease.wait(THREAD_IN_USE_SECONDS)
                raise _Stopped from error
            raise

    def _invoke(self, given: Any) -> list[Asked]:
        """Invokes the graph; answers what it stands at, which is nothing when it has finished."""
        self._stop_if_told()
        control = RunControl()
        context = RunContext(self.run, self._client, self.lease.token)
        try:
            with self.lease.listening(lambda: control.request_drain("the worker was told to stop")):
                self._graph.invoke(
                    given, self._plan.config, context=context, durability=self._plan.durability, control=control
                )
        except GraphDrained as drained:
            raise _Stopped from drained
        except LeaseLost:
            raise
        except BaseException as error:  # also SystemExit: a graph that calls exit() must not take its run down with it
            raise _Failed(f"{type(error).__name__}: {error}", retryable=True) from error
        state = self._state()
        asked = pending_questions(state)
        if state.next and not asked:
            raise _Failed(
                f"The graph stopped before {', '.join(state.next)} without a question: static breakpoints "
                "(interrupt_before, interrupt_after) are not supported; use interrupt() in a node.",
                retryable=False,
            )
        self._acknowledge_all_but(asked)
        return asked

    def _state(self) -> StateSnapshot:
        state: StateSnapshot = self._graph.get_state(self._plan.config, subgraphs=True)
        return state

    def _answers(self, asked: list[Asked]) -> Command[Any] | None:
        """Raises the questions, waits until the run may go on, and answers with what to resume the graph with."""
        if self.lease.ending in (Ending.CANCELLED, Ending.LOST):
            raise _Stopped
        raised = self._raise(asked)
        by_id = {one.interrupt_id: question for one, question in zip(raised, asked, strict=True)}
        let_go = self.lease.ending is not None or not self._slots.may_wait()
        paused = self._call(
            self._client.runs.PauseRun,
            run_pb2.PauseRunRequest(run_id=self.run.run_id, lease_token=self.lease.token, release_lease=let_go),
        ).run
        self._heed(paused)
        if let_go:
            self.lease.end(Ending.LOST)  # given back, to be exact; either way it is not ours any more
            raise _Stopped
        with self._slots.left(self.lease):
            decisions = self._decisions(by_id, paused.status)
        self._refuse_standstill(asked, set(decisions))
        # With nothing to answer the graph is looked at again: it asks what it still wants to know.
        answers = {by_id[id].external_id: to_answer(by_id[id], decision) for id, decision in decisions.items()}
        return Command(resume=answers) if answers else None

    def _raise(self, asked: list[Asked]) -> list[interrupt_pb2.Interrupt]:
        if len(asked) > QUESTIONS:
            raise _Failed(f"The graph asks {len(asked)} questions at once; at most {QUESTIONS} can be", retryable=False)
        try:
            request = interrupt_pb2.RaiseInterruptsRequest(
                run_id=self.run.run_id,
                lease_token=self.lease.token,
                thread_id=self._plan.thread_id,
                questions=[to_question(question) for question in asked],
            )
            return list(self._call(self._client.interrupts.RaiseInterrupts, request).interrupts)
        except (ValueError, InvalidArgument) as error:
            raise _Failed(f"A question of the graph cannot be asked: {error}", retryable=False) from error

    def _decisions(
        self, by_id: dict[str, Asked], status: run_pb2.RunStatus.ValueType
    ) -> dict[str, interrupt_pb2.Decision]:
        """Waits until the run may go on; answers the decisions that are there for these questions then."""
        watched = interrupt_pb2.WatchDecisionsRequest(run_ids=[self.run.run_id])
        following = self._client.follow(self._client.interrupts.WatchDecisions, watched)
        decisions: dict[str, interrupt_pb2.Decision] = {}
        withdrawn = synced = False
        with following, self.lease.listening(following.close):
            for message in following:
                for item in message.transaction.items:
                    if item.decision.interrupt_id in by_id:
                        decisions[item.decision.interrupt_id] = item.decision
                    withdrawn = withdrawn or item.withdrawal.interrupt_id in by_id
                synced = synced or message.HasField("synced")
                if status != run_pb2.RUN_STATUS_RUNNING and (decisions or withdrawn):
                    status = self._patiently(self.lease.renew)
                if synced and status == run_pb2.RUN_STATUS_RUNNING:
                    return decisions
        raise _Stopped

    def _refuse_standstill(self, asked: list[Asked], decided: set[str]) -> None:
        """Fails the run when the graph has been resumed with exactly this before and has not moved since."""
        now = ({(question.external_id, question.checkpoint_id) for question in asked}, decided)
        if now == self._resumed_with:
            waiting = ", ".join(question.external_id for question in asked)
            why = "does not take the answers to" if decided else "waits for what nobody can answer any more:"
            raise _Failed(f"The graph {why} {waiting}", retryable=False)
        self._resumed_with = now

    def _acknowledge_all_but(self, asked: list[Asked]) -> None:
        """Acknowledges every decision whose question the graph does not stand at any more."""
        pending = {question.external_id for question in asked}
        listed = interrupt_pb2.ListInterruptsRequest(filter=interrupt_pb2.InterruptFilter(run_id=self.run.run_id))
        every = self._patiently(lambda: list(self._client.paged(self._client.interrupts.ListInterrupts, listed)))
        taken = [
            one.interrupt_id
            for one in every
            if one.closed_by == approval_pb2.CLOSED_BY_DECISION
            and not one.HasField("acknowledged_at")
            and one.external_id not in pending
        ]
        for begin in range(0, len(taken), QUESTIONS):
            self._call(
                self._client.interrupts.AcknowledgeDecisions,
                interrupt_pb2.AcknowledgeDecisionsRequest(
                    run_id=self.run.run_id,
                    lease_token=self.lease.token,
                    interrupt_ids=taken[begin : begin + QUESTIONS],
                ),
            )

    def _complete(self) -> None:
        self._acknowledge_all_but([])
        request = run_pb2.CompleteRunRequest(run_id=self.run.run_id, lease_token=self.lease.token)
        self._call(self._client.runs.CompleteRun, request)
        _log.info("%s: completed", self.run.run_id)

    def _fail(self, reason: str, retryable: bool) -> None:
        _log.warning("%s: failed: %s", self.run.run_id, reason)
        request = run_pb2.FailRunRequest(
            run_id=self.run.run_id, lease_token=self.lease.token, reason=_cut(reason), retryable=retryable
        )
        self._call(self._client.runs.FailRun, request)

    def _let_go(self) -> None:
        """Gives the lease back: the run is cancelled if that was asked for, and else goes back into the queue.

        One that has been over its budget for too long fails.
        """
        if self.lease.ending is Ending.LOST:
            return
        reason = _REASONS.get(self.lease.ending or Ending.STOPPING, "the worker let it go")
        request = run_pb2.ReleaseRunRequest(run_id=self.run.run_id, lease_token=self.lease.token, reason=reason)
        self._call(self._client.runs.ReleaseRun, request)
        _log.info("%s: released: %s", self.run.run_id, reason)

    def _heed(self, run: run_pb2.Run) -> None:
        """Stops work when the run, as the server has just shown it, is to be cancelled: no renewal has to tell first."""
        if run.HasField("cancel_requested_at"):
            self.lease.end(Ending.CANCELLED)

    def _stop_if_told(self) -> None:
        if self.lease.ending is not None:
            raise _Stopped

    def _call(self, method: Callable[[Any], Any], request: Message) -> Any:
        """Calls the server for as long as it takes, with one request id."""
        request, _ = with_request_id(request)
        return self._patiently(lambda: method(request))

    def _patiently(self, call: Callable[[], Any]) -> Any:
        """Repeats the call while the server is away, unless work must stop: leases outlive a server's restart."""
        while True:
            try:
                return call()
            except Unavailable as error:
                if self.lease.ending is not None or self.lease.wait(1.0):
                    raise
                _log.warning("%s: the server is away, trying on: %s", self.run.run_id, error)


def _cut(text: str) -> str:
    """The text, cut to what a reason may hold."""
    return text.replace("\0", "").encode("utf-8", "replace")[:REASON_BYTES].decode("utf-8", "ignore") or "no reason"
