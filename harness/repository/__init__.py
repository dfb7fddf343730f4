"""Git: what is asked of a repository, which is never written to, and a commit checked out in a folder of its own."""
