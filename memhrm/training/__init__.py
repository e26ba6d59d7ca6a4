"""One optimiser step of deep supervision."""
