/**
 * Promises that the server tells truly what it is, and keeps its own house without anyone noticing.
 */
@NullMarked
package dev.pmbot.server;

import org.jspecify.annotations.NullMarked;
