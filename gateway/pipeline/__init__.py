"""What becomes of one request, from its decoded body to its answer's last byte?"""
