"""Figures, tables and sentences made of what `memhrm.probes` measures."""
