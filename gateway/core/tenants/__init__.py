"""Who asks, and what may they use?"""
