"""Other packages' programming interfaces on Crewel's driver."""
