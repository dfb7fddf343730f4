"""Git: read-only questions to the user's repository, and a commit checked out into a folder of its own."""
