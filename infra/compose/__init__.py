"""The stack in containers: what its images and `make test-compose` are made of."""
