"""The calls of business systems, one file per resource: its models, its handlers, its routes."""
