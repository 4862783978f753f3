"""Floor 2: how do artifacts move, who approves, and in which order?"""
