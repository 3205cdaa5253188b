package dev.pmbot.artifact;

import dev.pmbot.audit.Audit;
import dev.pmbot.audit.Event;
import dev.pmbot.files.Hashed;
import dev.pmbot.json.JsonProblem;
import dev.pmbot.json.JsonText;
import dev.pmbot.run.RunRow;
import dev.pmbot.run.Runs;
import dev.pmbot.store.Ids;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.Looked;
import dev.pmbot.wire.Principal;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.workspace.Workspaces;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What runs produced: the rows. {@link ArtifactFiles} sees to the files. */
public final class Artifacts {
  private static final String PREFIX = "art";

  private final Workspaces workspaces;
  private final Runs runs;
  private final Audit audit;
  private final Ids ids;

  /** With the runs that produce, the log and a source of ids. */
  public Artifacts(Workspaces workspaces, Runs runs, Audit audit, Ids ids) {
    this.workspaces = workspaces;
    this.runs = runs;
    this.audit = audit;
    this.ids = ids;
  }

  /**
   * Refuses early what would be refused in the end, before its content is taken or read.
   *
   * @param uri where it lies already; none for what is uploaded
   * @throws Problem INVALID_FIELDS, NOT_FOUND, LEASE_LOST
   */
  void admit(Tx tx, NewArtifact announced, @Nullable ArtifactUri uri, boolean operator) {
    try {
      JsonText.checkObject(announced.metadataJson(), Fields.LARGEST_JSON);
    } catch (JsonProblem problem) {
      throw Problem.invalidField(
          uri == null ? "header.metadata_json" : "metadata_json",
          String.valueOf(problem.getMessage()));
    }
    RunRow run = runs.open(tx, announced.runId(), announced.leaseToken(), operator);
    if (uri != null) {
      uri.requireFolderOf(run.runId());
    }
  }

  /** The artifact of a run at a place. */
  @Nullable ArtifactRow at(Tx tx, String runId, String uri) {
    return tx.mapper(ArtifactMapper.class).findByUri(runId, uri);
  }

  /** Keeps an artifact whose file was placed; one that is kept there already is the same. */
  ArtifactRow keep(Tx tx, NewArtifact announced, String uri, Hashed content) {
    return keep(tx, announced, uri, content, "artifact.stored");
  }

  /**
   * Keeps an artifact that lies at a place; one that is kept there already is the same.
   *
   * @throws Problem NOT_FOUND, LEASE_LOST, ALREADY_EXISTS when the one there has other content
   */
  ArtifactRow register(Tx tx, NewArtifact announced, ArtifactUri uri, Hashed content) {
    return keep(tx, announced, uri.toString(), content, "artifact.registered");
  }

  private ArtifactRow keep(
      Tx tx, NewArtifact announced, String uri, Hashed content, String eventType) {
    boolean operator = tx.actor().equals(Principal.LOCAL_USER);
    RunRow run = runs.open(tx, announced.runId(), announced.leaseToken(), operator);
    ArtifactRow known = at(tx, run.runId(), uri);
    if (known != null) {
      if (!content.equals(new Hashed(known.hash(), known.sizeBytes()))) {
        throw Problem.contentExists(uri, known.artifactId());
      }
      return known;
    }
    ArtifactRow row =
        new ArtifactRow(
            ids.next(PREFIX),
            run.workspaceId(),
            run.runId(),
            announced.kind(),
            uri,
            announced.contentType(),
            content.sha256(),
            announced.title(),
            tx.now(),
            content.sizeBytes(),
            announced.metadataJson());
    ArtifactMapper mapper = tx.mapper(ArtifactMapper.class);
    mapper.insert(row);
    mapper.count(row.place() == ArtifactPlace.IN_DATA_DIRECTORY ? row.sizeBytes() : 0);
    audit.append(
        tx,
        Event.of(row.workspaceId(), eventType)
            .run(row.runId())
            .thread(run.threadId())
            .with("artifact_id", row.artifactId())
            .with("kind", row.kind())
            .with("uri", row.uri())
            .with("place", row.place())
            .with("hash", row.hash())
            .with("size_bytes", row.sizeBytes()));
    return row;
  }

  /**
   * All artifacts together.
   *
   * @param artifacts how many there are
   * @param sizeBytes how large those are that lie in the data directory
   */
  public record Totals(long artifacts, long sizeBytes) {}

  /** All artifacts together, as they were counted when each was added. */
  public Totals totals(Tx tx) {
    return tx.mapper(ArtifactMapper.class).totals();
  }

  /** The artifact with an id. */
  public ArtifactRow get(Tx tx, String artifactId) {
    ArtifactRow row = tx.mapper(ArtifactMapper.class).find(artifactId);
    if (row == null) {
      throw Problem.notFound("artifact", artifactId);
    }
    return row;
  }

  /** The artifacts with some ids, those that there are, in no order. */
  List<ArtifactRow> getAll(Tx tx, List<String> artifactIds) {
    return tx.mapper(ArtifactMapper.class).findAll(artifactIds);
  }

  /**
   * The hash of a run's artifact, as this server found it; none when the run has no such artifact
   * in the data directory.
   */
  public @Nullable String hashOf(Tx tx, String runId, String artifactId) {
    ArtifactRow row = tx.mapper(ArtifactMapper.class).find(artifactId);
    return row != null
            && row.runId().equals(runId)
            && row.place() == ArtifactPlace.IN_DATA_DIRECTORY
        ? row.hash()
        : null;
  }

  /**
   * Refuses a query that names what does not exist, or a run of another workspace than it names.
   *
   * @throws Problem NOT_FOUND
   */
  void admit(Tx tx, ArtifactQuery query) {
    String workspaceId = ProtoText.toProto(query.workspaceId());
    if (query.runId() != null) {
      runs.get(tx, query.runId(), workspaceId);
    } else {
      workspaces.get(tx, workspaceId);
    }
  }

  /** Looks at the next artifacts behind an id, newest first. */
  List<Looked> look(Tx tx, ArtifactQuery query, @Nullable String behind, int limit) {
    Created created = query.created();
    return tx.mapper(ArtifactMapper.class)
        .look(query, created.lowestId(PREFIX), created.idBound(PREFIX, behind), limit);
  }
}
