/**
 * What tests are made of: a real server on a free port, clocks that a test turns, and short words
 * for what nearly every test needs. Nothing here stands in for a part of the program.
 */
package dev.pmbot.kit;
