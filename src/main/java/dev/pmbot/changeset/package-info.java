/** Promises that a changeset is marked as applied only after a person's yes, and once. */
@NullMarked
package dev.pmbot.changeset;

import org.jspecify.annotations.NullMarked;
