"""Another package, as seen from Crewel: nothing here is a test."""

collect_ignore_glob = ["*"]
