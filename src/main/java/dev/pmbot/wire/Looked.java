package dev.pmbot.wire;

/**
 * A row that a filtered list looked at.
 *
 * @param key its place in the list's order; the row can be found by it
 * @param matches whether the whole filter takes it
 */
public record Looked(String key, boolean matches) {}
