"""The run loop: rounds in attempts."""
