/**
 * Promises that a unit of work is carried out whole or not at all, that nothing is answered before
 * its commit, and that a write that was answered survives the end of the program. One thread owns
 * the only connection that writes; it commits whatever is waiting together. Reads have connections
 * of their own.
 */
@NullMarked
package dev.pmbot.store;

import org.jspecify.annotations.NullMarked;
