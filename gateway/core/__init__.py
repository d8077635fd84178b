"""What is decided? State in, decision out; time and draws are handed in."""
