"""The calls of business systems, one file per resource: its models, its calls, its routes."""
