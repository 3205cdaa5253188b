/**
 * Promises that every human yes or no is one row, bound by its hash to what was shown, and that
 * nobody but the operator makes one.
 */
@NullMarked
package dev.pmbot.approval;

import org.jspecify.annotations.NullMarked;
