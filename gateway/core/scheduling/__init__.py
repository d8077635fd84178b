"""When is it sent, or not at all?"""
