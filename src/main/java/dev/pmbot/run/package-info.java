/**
 * Promises that nothing is claimable before its approval, that a run is held by one worker at a
 * time under a lease that fences off everybody else, and that a worker that dies loses its lease,
 * not the run.
 */
@NullMarked
package dev.pmbot.run;

import org.jspecify.annotations.NullMarked;
