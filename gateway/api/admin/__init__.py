"""The calls of operators, one file per resource: its models, its calls, its routes."""
