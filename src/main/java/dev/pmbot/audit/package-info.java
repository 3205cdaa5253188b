/**
 * Promises that every change is on the record in the transaction that makes it, in one hash chain
 * for each workspace, without gaps and in the order of commits, and that a record that was tampered
 * with is detected and located.
 */
@NullMarked
package dev.pmbot.audit;

import org.jspecify.annotations.NullMarked;
