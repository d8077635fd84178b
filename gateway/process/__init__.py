"""How does a process live and die?"""
