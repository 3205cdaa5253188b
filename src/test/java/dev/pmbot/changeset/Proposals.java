package dev.pmbot.changeset;

import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ProposeChangesetRequest;
import dev.pmbot.v1.ProposeChangesetResponse;
import dev.pmbot.wire.Principal.Role;
import java.nio.charset.StandardCharsets;

/** Changesets as a worker proposes them. */
public final class Proposals {
  /** A commit to begin from. */
  public static final String BASE = "c0ffee0123456789c0ffee0123456789c0ffee01";

  private Proposals() {}

  /** A bundle of one file, whose patch is that artifact. */
  public static String bundle(Artifact patch) {
    return bundle(patch.getArtifactId(), patch.getHash());
  }

  /** A bundle of one file. */
  public static String bundle(String patchId, String patchSha) {
    return """
    {"base_commit":"%s","description":"why","files":[{"change":"modified","path":"src/a.txt"}],\
    "patch_artifact_id":"%s","patch_sha256":"%s","title":"Tidy the imports"}"""
        .formatted(BASE, patchId, patchSha);
  }

  /** Uploads a patch and proposes it. */
  public static ProposeChangesetResponse propose(
      TestServer server, Scenario scenario, Scenario.Held held) {
    byte[] patch = "--- a\n+++ b\n".getBytes(StandardCharsets.UTF_8);
    return propose(server, held, bundle(scenario.upload(held, "a.patch", patch)));
  }

  /** Proposes a bundle. */
  public static ProposeChangesetResponse propose(
      TestServer server, Scenario.Held held, String bundle) {
    return server
        .as(Role.WORKER)
        .changesets()
        .proposeChangeset(
            ProposeChangesetRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .setBundleJson(bundle)
                .build());
  }
}
