"""The calls of operators, one file per resource: its models, its handlers, its routes."""
