"""How much better would the stronger model answer this prompt? A library on its own; serving needs numpy only."""
