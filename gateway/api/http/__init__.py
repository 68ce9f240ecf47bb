"""What stands around every call: the server, authentication, parsing, problems, and the OpenAPI document."""
