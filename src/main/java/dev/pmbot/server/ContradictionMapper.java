package dev.pmbot.server;

import java.util.List;
import org.apache.ibatis.annotations.Select;

/**
 * Rows that contradict each other, whatever room they belong to; each by its id, in the order of
 * the ids. For a database that nobody else works in: these look at whole tables.
 */
public interface ContradictionMapper {
  /** A run went past its gate although no person let it. */
  @Select(
      """
      SELECT r.run_id FROM runs r
      WHERE r.run_id > #{behind} AND r.status NOT IN ('proposed', 'rejected', 'cancelled')
        AND NOT EXISTS (SELECT 1 FROM approvals a
          WHERE a.run_id = r.run_id AND a.kind = 'run_start' AND a.status = 'approved')
      ORDER BY r.run_id LIMIT #{limit}
      """)
  List<String> startedWithoutApproval(String behind, int limit);

  /** A run waits at its gate, but nobody is asked. */
  @Select(
      """
      SELECT r.run_id FROM runs r
      WHERE r.run_id > #{behind} AND r.status = 'proposed'
        AND NOT EXISTS (SELECT 1 FROM approvals a
          WHERE a.run_id = r.run_id AND a.kind = 'run_start' AND a.status = 'pending')
      ORDER BY r.run_id LIMIT #{limit}
      """)
  List<String> proposedWithoutQuestion(String behind, int limit);

  /** A run waits for a decision that nobody is asked for. */
  @Select(
      """
      SELECT r.run_id FROM runs r
      WHERE r.run_id > #{behind} AND r.status = 'blocked'
        AND NOT EXISTS (SELECT 1 FROM interrupts i WHERE i.run_id = r.run_id AND i.status = 'pending')
        AND NOT EXISTS (SELECT 1 FROM approvals a
          WHERE a.run_id = r.run_id AND a.kind IN ('tool_call', 'spend', 'publish') AND a.status = 'pending')
      ORDER BY r.run_id LIMIT #{limit}
      """)
  List<String> blockedByNothing(String behind, int limit);

  /** A run is leased in a state in which nobody works on it. */
  @Select(
      """
      SELECT r.run_id FROM runs r
      WHERE r.run_id > #{behind} AND r.lease_token IS NOT NULL
        AND r.status NOT IN ('approved', 'running', 'blocked')
      ORDER BY r.run_id LIMIT #{limit}
      """)
  List<String> leasedInVain(String behind, int limit);

  /** An approval is pending although its run has ended. */
  @Select(
      """
      SELECT a.approval_id FROM approvals a JOIN runs r ON r.run_id = a.run_id
      WHERE a.approval_id > #{behind} AND a.status = 'pending' AND a.kind <> 'changeset_apply'
        AND r.status IN ('completed', 'failed', 'cancelled', 'rejected')
      ORDER BY a.approval_id LIMIT #{limit}
      """)
  List<String> approvalsLeftOpen(String behind, int limit);

  /** An approval has a decision without its time and maker, or the other way round. */
  @Select(
      """
      SELECT a.approval_id FROM approvals a
      WHERE a.approval_id > #{behind}
        AND ((a.status = 'pending' AND (a.resolved_at IS NOT NULL OR a.closed_by IS NOT NULL))
          OR (a.status <> 'pending' AND (a.resolved_at IS NULL OR a.closed_by IS NULL)))
      ORDER BY a.approval_id LIMIT #{limit}
      """)
  List<String> approvalsHalfDecided(String behind, int limit);

  /** An approval belongs to another workspace than its run. */
  @Select(
      """
      SELECT a.approval_id FROM approvals a JOIN runs r ON r.run_id = a.run_id
      WHERE a.approval_id > #{behind} AND a.workspace_id <> r.workspace_id
      ORDER BY a.approval_id LIMIT #{limit}
      """)
  List<String> approvalsElsewhere(String behind, int limit);

  /** A question is pending although its run has ended. */
  @Select(
      """
      SELECT i.interrupt_id FROM interrupts i JOIN runs r ON r.run_id = i.run_id
      WHERE i.interrupt_id > #{behind} AND i.status = 'pending'
        AND r.status IN ('completed', 'failed', 'cancelled', 'rejected')
      ORDER BY i.interrupt_id LIMIT #{limit}
      """)
  List<String> questionsLeftOpen(String behind, int limit);

  /** A question has a decision without its time and maker, or the other way round. */
  @Select(
      """
      SELECT i.interrupt_id FROM interrupts i
      WHERE i.interrupt_id > #{behind}
        AND ((i.status = 'pending' AND (i.resolved_at IS NOT NULL OR i.closed_by IS NOT NULL))
          OR (i.status <> 'pending' AND (i.resolved_at IS NULL OR i.closed_by IS NULL)))
      ORDER BY i.interrupt_id LIMIT #{limit}
      """)
  List<String> questionsHalfDecided(String behind, int limit);

  /** A question belongs to another workspace than its run. */
  @Select(
      """
      SELECT i.interrupt_id FROM interrupts i JOIN runs r ON r.run_id = i.run_id
      WHERE i.interrupt_id > #{behind} AND i.workspace_id <> r.workspace_id
      ORDER BY i.interrupt_id LIMIT #{limit}
      """)
  List<String> questionsElsewhere(String behind, int limit);

  /**
   * A question and its approval say different things. A yes that became void stays a yes on the
   * record: of what the graph does not ask any more.
   */
  @Select(
      """
      SELECT i.interrupt_id FROM interrupts i JOIN approvals a ON a.approval_id = i.approval_id
      WHERE i.interrupt_id > #{behind}
        AND ((i.status = 'pending' AND a.status <> 'pending')
          OR (i.status <> 'pending' AND a.status = 'pending')
          OR (i.status = 'approved' AND a.status = 'rejected')
          OR (i.status = 'rejected' AND a.status = 'approved' AND coalesce(i.closed_by, '') <> 'superseded'))
      ORDER BY i.interrupt_id LIMIT #{limit}
      """)
  List<String> questionsApart(String behind, int limit);

  /** A changeset is not in the state that its approval gives it. */
  @Select(
      """
      SELECT c.changeset_id FROM changeset_bundles c
      WHERE c.changeset_id > #{behind}
        AND NOT EXISTS (SELECT 1 FROM approvals a
          WHERE a.run_id = c.run_id AND a.kind = 'changeset_apply' AND a.subject_id = c.changeset_id
            AND a.status = CASE c.status WHEN 'proposed' THEN 'pending' WHEN 'rejected' THEN 'rejected'
              ELSE 'approved' END)
      ORDER BY c.changeset_id LIMIT #{limit}
      """)
  List<String> changesetsApart(String behind, int limit);
}
