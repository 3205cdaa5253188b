package dev.pmbot.interrupt;

/** A decision as a person gives it. */
record NewDecision(String interruptId, String payloadHash, String decisionJson, String notes) {}
