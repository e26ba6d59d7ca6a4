"""Episodes: sequences of puzzles under a secret rule."""
