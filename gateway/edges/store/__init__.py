"""Where does shared state live?"""
