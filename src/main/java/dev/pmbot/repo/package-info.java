/**
 * Promises that a repo is registered once in its workspace, whatever the case of letters in its
 * name.
 */
@NullMarked
package dev.pmbot.repo;

import org.jspecify.annotations.NullMarked;
