"""Which words does everybody here use?"""
