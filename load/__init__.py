"""Load harness: what happens when traffic meets the gateway, on sockets or on virtual time?"""
