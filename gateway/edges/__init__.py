"""Who touches sockets, files, the clock and chance?"""
