"""What does OpenAI's language say, and how do we say it back without changing a byte?"""
