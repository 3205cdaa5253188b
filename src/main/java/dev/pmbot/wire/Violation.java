package dev.pmbot.wire;

/** One field that breaks a rule: which, and what would be right. */
public record Violation(String field, String description) {}
