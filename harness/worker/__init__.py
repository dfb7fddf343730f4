"""The child process: it opens a case, prepares phases, times blocks and replies to the parent."""
