"""The operator that is measured, topk, and when a result is right; harness/README.md says what another one takes."""
