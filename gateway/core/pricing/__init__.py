"""What does scarcity cost right now?"""
