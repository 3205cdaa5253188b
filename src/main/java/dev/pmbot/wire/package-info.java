/**
 * Promises that every call is answered in one way: checked before a handler sees it, carried out in
 * one transaction, answered after its commit, and, when refused, refused with a reason from the
 * closed list and never with a stack trace or SQL.
 */
@NullMarked
package dev.pmbot.wire;

import org.jspecify.annotations.NullMarked;
