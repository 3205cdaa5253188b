/**
 * Promises that what the server runs with is one record, complete and checked before anything is
 * opened.
 */
@NullMarked
package dev.pmbot.config;

import org.jspecify.annotations.NullMarked;
