"""Lambda handlers, shipped as inline source: each file is one function, standard library and boto3 only."""
