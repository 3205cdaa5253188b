"""What a node can reach of the run that it is part of."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pmbot.client import Client
from pmbot.json_text import canonical_json
from pmbot.transfers import Content
from pmbot.v1 import approval_pb2, artifact_pb2, changeset_pb2, run_pb2

_CHANGESETS = uuid.UUID("6f0b1f5e-6c0e-5d4c-9d0a-0f5f2f3c7a11")
"""The name space of changesets' request ids."""


@dataclass(frozen=True)
class RunContext:
    """The run that a node is part of: `runtime.context` in `def node(state, runtime: Runtime[RunContext])`.

    Everything here may be called again by a node that is replayed: it is stored once.
    """

    run: run_pb2.Run
    """The run as it was when this worker started it."""
    client: Client
    """The worker's client."""
    lease_token: str = field(repr=False)
    """What the run's writes carry. It changes with each worker that takes the run over; do not keep it in the state."""

    def artifact(
        self,
        name: str,
        data: Content,
        kind: int | str = "log",
        content_type: str = "",
        title: str = "",
        metadata: Mapping[str, object] | None = None,
    ) -> artifact_pb2.Artifact:
        """Stores an artifact of this run; see `Client.upload_artifact`. The same name and content is the same artifact.

        Raises:
            LeaseLost: the run belongs to another worker by now.
        """
        return self.client.upload_artifact(
            self.run.run_id,
            self.lease_token,
            kind,
            name,
            data,
            content_type=content_type,
            title=title,
            metadata=metadata,
        )

    def changeset(
        self, bundle: Mapping[str, Any], risk: Literal["low", "medium", "high"] | None = None
    ) -> changeset_pb2.Changeset:
        """Proposes a changeset, which waits for its approval without blocking the run.

        Args:
            bundle: `base_commit`, `title`, `description`, `files` (each `path` and `change`), `patch_artifact_id` and
                `patch_sha256`, as `changeset.proto` has it; at most 1 MiB as JSON.
            risk: how bad a wrong yes could be; default `medium`, and not lower.

        Returns:
            The changeset as it stands: proposing the same bundle again in the same run answers the same changeset.

        Raises:
            LeaseLost: the run belongs to another worker by now.
            WrongState: the run has no repo.
            InvalidArgument: the bundle is not of its shape; `NotJson` when it is not JSON.
        """
        bundle_json = canonical_json(dict(bundle))
        run_id = self.run.run_id
        # The server remembers request ids for a day, and people may take longer to let a node go on.
        listed = changeset_pb2.ListChangesetsRequest(filter=changeset_pb2.ChangesetFilter(run_id=run_id))
        for changeset in self.client.paged(self.client.changesets.ListChangesets, listed):
            if changeset.bundle_json == bundle_json:
                found: changeset_pb2.Changeset = changeset
                return found
        request = changeset_pb2.ProposeChangesetRequest(
            request_id=str(uuid.uuid5(_CHANGESETS, f"{run_id}\n{bundle_json}")),
            run_id=run_id,
            lease_token=self.lease_token,
            bundle_json=bundle_json,
            risk=approval_pb2.Risk.Value(f"RISK_{risk.upper()}") if risk else approval_pb2.RISK_UNSPECIFIED,
        )
        return self.client.changesets.ProposeChangeset(request).changeset
