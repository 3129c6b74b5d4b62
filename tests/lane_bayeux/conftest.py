"""These tests need Oryx and bayeux, which import on JAX up to 0.5 only."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("oryx") else ["test_*.py"]
