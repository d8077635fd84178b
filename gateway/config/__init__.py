"""What did the operator write, and is it right?"""
