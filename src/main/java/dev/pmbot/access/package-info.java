/**
 * Promises that no call passes without a token of this server and a role that the table allows,
 * that nobody but the operator decides, and that who was refused is on the record.
 */
@NullMarked
package dev.pmbot.access;

import org.jspecify.annotations.NullMarked;
