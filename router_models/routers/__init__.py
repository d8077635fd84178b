"""Which ways are there to guess each model's quality? One file a way, one line each in the registry."""
