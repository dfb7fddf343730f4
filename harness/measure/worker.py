"""The module that a parent of any version starts; the worker itself is harness/worker/serve.py."""

from harness.worker.serve import main

if __name__ == "__main__":
    main()
