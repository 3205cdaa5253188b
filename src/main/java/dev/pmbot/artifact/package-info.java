/**
 * Promises that an artifact's file is whole and has its final name before a row points at it, that
 * it is never replaced, and that its size costs no memory.
 */
@NullMarked
package dev.pmbot.artifact;

import org.jspecify.annotations.NullMarked;
