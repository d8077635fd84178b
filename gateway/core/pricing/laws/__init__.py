"""Which laws turn budgets into prices?"""
