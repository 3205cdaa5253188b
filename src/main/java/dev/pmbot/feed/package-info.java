/**
 * Promises that a stream shows each transaction of the log once, whole and in order, that it can be
 * resumed exactly where its client left off or is refused out loud, and that a slow client costs
 * nothing but a cursor.
 */
@NullMarked
package dev.pmbot.feed;

import org.jspecify.annotations.NullMarked;
