"""The H-modules: what turns (z_H, z_L, memory) into (z_H', memory', trace)."""
