/**
 * What JSON may come in, and what of it may be kept. This room promises that a text it let pass is
 * one JSON value that every JSON reader understands alike, of bounded size and depth; that no text
 * or schema, however hostile, costs it more than bounded time and memory; and that what it redacted
 * holds no value under a secret-looking key and no credential of a known format, while every other
 * character is kept as it came.
 */
@NullMarked
package dev.pmbot.json;

import org.jspecify.annotations.NullMarked;
