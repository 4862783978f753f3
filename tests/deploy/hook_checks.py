"""A check of a user's own: what the tests of hooks deploy."""

import json
import os


def orders_arrive(deployment):
    print("asked about", deployment["deployment"])
    return json.loads(os.environ["ORDERS"]) > 0


def never(deployment):
    return False
