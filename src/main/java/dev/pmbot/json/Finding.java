package dev.pmbot.json;

/**
 * A credential inside a text.
 *
 * @param start offset of its first character
 * @param end offset after its last character
 * @param kind what it is, as it will stand in the marker
 */
record Finding(int start, int end, String kind) {}
