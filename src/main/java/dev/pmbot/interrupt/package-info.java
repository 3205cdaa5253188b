/**
 * Promises that a question is asked once however often it is raised, that only an answer which it
 * allows is stored, and that the answer is handed over until the graph has taken it, and never to
 * another question.
 */
@NullMarked
package dev.pmbot.interrupt;

import org.jspecify.annotations.NullMarked;
