/**
 * Promises that every repo and run belongs to a workspace with a name of its own and an audit chain
 * of its own.
 */
@NullMarked
package dev.pmbot.workspace;

import org.jspecify.annotations.NullMarked;
