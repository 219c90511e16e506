"""The JSON API at /api/v1: the same models, operations and refusals as the console, for scripts.

The contract that scripts rely on is the OpenAPI document at /api/v1/openapi.json; readable at /api/v1/docs.
"""
