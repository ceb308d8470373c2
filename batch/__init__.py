"""The nightly run: from the population to published predictions.

population -> point-in-time features -> scores -> idle slot -> verified -> published -> history
"""
