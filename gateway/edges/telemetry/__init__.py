"""What can people see?"""
