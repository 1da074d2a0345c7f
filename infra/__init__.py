"""What surrounds the product: the local stack, example pipelines, generators and checks. Never
published.
"""
