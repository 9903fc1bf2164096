"""What breakers and limits remember: frozen values, and how each becomes the next."""
