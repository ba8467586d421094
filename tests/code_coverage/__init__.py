"""Branch coverage of the programs, with a figure for each package."""
