"""Floor 2: what a stage can run besides deployments and approvals."""
