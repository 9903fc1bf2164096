"""What services and the control plane share; the standard library is all it needs."""
