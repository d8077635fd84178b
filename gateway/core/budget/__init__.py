"""What is left, and how fast does it go?"""
