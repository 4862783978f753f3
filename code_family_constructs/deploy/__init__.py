"""Floor 1: how do we deploy to EC2, ECS or Lambda?"""
