"""Which backend of a model should take it?"""
