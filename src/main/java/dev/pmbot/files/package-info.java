/**
 * The data directory: who may use it, what lies where, and how a file comes into being. This room
 * promises that one server at a time works in a directory; that a file appears under its final name
 * whole or not at all (where the file system has hard links) and never replaces another; that no
 * name from outside leads anywhere but below the folder meant for it; and that what is private is
 * readable by its owner alone.
 */
@NullMarked
package dev.pmbot.files;

import org.jspecify.annotations.NullMarked;
