"""What will this request probably use and cost?"""
