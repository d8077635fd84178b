"""How do we reach the engines?"""
