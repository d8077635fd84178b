"""How good would each model be on this prompt?"""
