/**
 * The control plane: the entry point and the one place where the rooms below are wired together.
 */
@NullMarked
package dev.pmbot;

import org.jspecify.annotations.NullMarked;
