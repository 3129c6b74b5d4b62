"""A package that brings Crewel one algorithm and one network library, as any package may."""
