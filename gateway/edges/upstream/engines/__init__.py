"""What does each engine family understand?"""
