"""Floor 1: where does the build run?"""
