"""Which model answers this request?"""
