"""Cloud functions: each a folder with a thin main.py; what they do is in shared."""
