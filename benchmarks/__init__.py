"""What bylaw costs: per request in this process, and for those who are signed in while others sign in.

`python -m benchmarks` prints the figures beside their budgets; README.md says what they are worth.
"""
