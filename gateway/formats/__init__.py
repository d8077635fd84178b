"""How do files of other tools look?"""
