package dev.pmbot.files;

/**
 * What a file holds, in short.
 *
 * @param sha256 SHA-256 of its content, 64 lower-case hexadecimal digits
 * @param sizeBytes its length
 */
public record Hashed(String sha256, long sizeBytes) {}
