"""Floor 1: where does the source live?"""
