"""Documents to rules and back: strict reading, one spelling, a numbered snapshot."""
