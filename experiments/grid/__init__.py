"""How a grid of runs is described, launched, collected and shown; knows no study."""
