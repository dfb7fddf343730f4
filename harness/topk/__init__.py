"""What is measured, and when it is right; harness/README.md says what another operator would have to bring."""
