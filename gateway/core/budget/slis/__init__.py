"""What counts as a good event?"""
