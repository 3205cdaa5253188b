"""What became of each of several things in a call, as an error of its own."""

from __future__ import annotations

from conftest import Server

from pmbot.errors import NotFound, PmbotError, from_status
from pmbot.v1 import interrupt_pb2


def test_each_of_several_refusals_is_the_error_that_its_own_call_would_have_raised(shared_server: Server) -> None:
    ids = ["intr_" + "0" * 32, "intr_" + "1" * 32]
    decisions = [
        interrupt_pb2.InterruptDecision(interrupt_id=id, payload_hash="0" * 64, decision_json="{}") for id in ids
    ]
    with shared_server.connect("operator") as client:
        several = client.interrupts.ResolveInterrupt(interrupt_pb2.ResolveInterruptRequest(decisions=decisions))
        errors = [from_status(result.error) for result in several.results]
        for decision, error in zip(decisions, errors, strict=True):
            alone: PmbotError | None = None
            try:
                client.interrupts.ResolveInterrupt(interrupt_pb2.ResolveInterruptRequest(decisions=[decision]))
            except NotFound as refused:
                alone = refused
            assert alone is not None
            assert (type(error), str(error), error.code, error.reason, error.metadata) == (
                (NotFound, str(alone), alone.code, "NOT_FOUND", {"id": decision.interrupt_id})
            )
