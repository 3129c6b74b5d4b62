"""Programming interfaces of other packages, implemented with Crewel's driver."""
