/**
 * Promises that each command parses its flags, calls one class, and says in a line or two what went
 * wrong.
 */
@NullMarked
package dev.pmbot.cli;

import org.jspecify.annotations.NullMarked;
