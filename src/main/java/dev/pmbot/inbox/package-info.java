/**
 * Promises that everything that waits for the person is in one view: pending questions, and pending
 * approvals that belong to none, the riskiest first and then the oldest.
 */
@NullMarked
package dev.pmbot.inbox;

import org.jspecify.annotations.NullMarked;
