"""Commands about jobs: what both aggregators compute, and what a model owner serves.

serve  a trained linear model answers clients
"""
